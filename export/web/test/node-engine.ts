/** LiteRT in Node, which its loader takes for a worker: a few globals of browsers and of CommonJS have to be there. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, resolve } from "node:path";
import { runInThisContext } from "node:vm";
import { LocalEngine } from "../src/local-engine.js";
import { TrainableModel } from "../src/trainable-model.js";
import { golden, goldenText } from "./golden.js";

const WASM = resolve("node_modules/@litertjs/core/wasm");

/** Starts the runtime. */
export function startNodeEngine(): Promise<LocalEngine> {
  Object.assign(globalThis, {
    self: globalThis,
    require: createRequire(import.meta.url),
    __dirname: WASM,
    importScripts: (script: string) => {
      Object.assign(globalThis, { __filename: script, __dirname: dirname(script) });
      runInThisContext(readFileSync(script, "utf-8"), { filename: script });
    },
  });
  return LocalEngine.start({ wasm: WASM });
}

/** Loads a golden model. */
export async function loadGolden(
  name: `model_${"float32" | "int8" | "settings" | "spare" | "array" | "regression"}` = "model_float32",
): Promise<TrainableModel> {
  return TrainableModel.load(golden(`${name}.tflite`), goldenText(`${name}.manifest.json`), {
    engine: await startNodeEngine(),
  });
}
