import { getGlobalLiteRtPromise, loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";
import type { CompiledModel, LiteRt, SignatureRunner, TensorDetails } from "@litertjs/core";
import type { Engine, EngineOptions, SignatureInfo, TensorInfo, Tensors } from "./engine.js";
import { InputError, reason, RuntimeUnavailable } from "./errors.js";
import { Turns } from "./turns.js";

/** LiteRT in the calling thread: in a worker, in Node, or in a page without a worker. */
export class LocalEngine implements Engine {
  #model: CompiledModel | undefined;
  readonly #turns = new Turns();

  private constructor(private readonly liteRt: LiteRt) {}

  /**
   * Starts LiteRT once for all engines of a thread.
   *
   * @throws RuntimeUnavailable If it cannot be started.
   */
  static async start(options: EngineOptions): Promise<LocalEngine> {
    if (typeof WebAssembly !== "object") {
      throw new RuntimeUnavailable("expected WebAssembly, which this browser lacks; use a newer browser");
    }
    try {
      return new LocalEngine(await (getGlobalLiteRtPromise() ?? load(options)));
    } catch (error) {
      throw new RuntimeUnavailable(
        `cannot start LiteRT from ${options.wasm}: ${reason(error)}; check that this folder has the files of ` +
          "@litertjs/core/wasm, and use a browser of 2023 or later",
      );
    }
  }

  open(model: Uint8Array<ArrayBuffer>): Promise<Record<string, SignatureInfo>> {
    return this.#turns.take(async () => {
      try {
        this.#model = await loadAndCompile(model, { accelerator: "wasm" });
      } catch (error) {
        throw new InputError(
          `LiteRT cannot load the model: ${reason(error)}; choose a .tflite from \`tinytl export\``,
        );
      }
      return Object.fromEntries(
        Object.entries(this.#model.signatures).map(([name, runner]) => [name, describe(runner)]),
      );
    });
  }

  run(signature: string, inputs: Tensors): Promise<Tensors> {
    return this.#turns.take(async () => {
      const runner = this.#model?.signatures[signature];
      if (!runner) {
        throw new InputError(`expected an open model with the signature ${signature}; load the model`);
      }
      const tensors: Tensor[] = [];
      try {
        const given: Record<string, Tensor> = {};
        for (const { name, shape } of runner.getInputDetails()) {
          given[name] = new Tensor(inputs[name]!, shape);
          tensors.push(given[name]);
        }
        const results = await runner.run(given);
        tensors.push(...Object.values(results));
        return Object.fromEntries(
          Object.entries(results).map(([name, tensor]) => [name, tensor.toTypedArray()]),
        ) as Tensors;
      } catch (error) {
        throw new InputError(`LiteRT cannot run ${signature}: ${reason(error)}; load the model again`);
      } finally {
        for (const tensor of tensors) {
          tensor.delete();
        }
      }
    });
  }

  heapBytes(): Promise<number> {
    return Promise.resolve(this.liteRt.liteRtWasm.HEAPU8.length);
  }

  close(): Promise<void> {
    return this.#turns.take(() => {
      this.#model?.delete();
      this.#model = undefined;
      return Promise.resolve();
    });
  }
}

/**
 * Returns the URL of a file of LiteRT. By default Emscripten looks for the `.wasm` next to the script of the worker.
 */
function load(options: EngineOptions): Promise<LiteRt> {
  const wasm = options.wasm.endsWith("/") ? options.wasm : `${options.wasm}/`;
  const module: Record<string, unknown> = { locateFile: (file: string) => `${wasm}${file}` };
  if (options.threads) {
    module.mainScriptUrlOrBlob = `${wasm}litert_wasm_threaded_internal.js`;
  }
  Object.assign(globalThis, { Module: module });
  return loadLiteRt(wasm, { threads: options.threads ?? false });
}

function describe(runner: SignatureRunner): SignatureInfo {
  return { inputs: byName(runner.getInputDetails()), outputs: byName(runner.getOutputDetails()) };
}

function byName(details: readonly TensorDetails[]): Record<string, TensorInfo> {
  return Object.fromEntries(details.map(({ name, dtype, shape }) => [name, { dtype, shape: [...shape] }]));
}
