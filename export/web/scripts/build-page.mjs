// Writes the page that `tinytl serve` serves into the Python package, from page/ and src/. The model that it opens first is
// the work of make_model.py.
//   node scripts/build-page.mjs [FOLDER]
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { build } from "esbuild";
import { WORKER } from "./worker.mjs";

const OUTPUT = process.argv[2] ?? "../../tinytl_tf/web/page";
const { version: litert } = JSON.parse(readFileSync("node_modules/@litertjs/core/package.json", "utf-8"));

rmSync(OUTPUT, { recursive: true, force: true });
mkdirSync(OUTPUT, { recursive: true });
const common = { bundle: true, target: ["es2022"], minify: true, legalComments: "none", logLevel: "warning" };
await build({
  ...common,
  entryPoints: { app: "page/main.ts" },
  format: "esm",
  outdir: OUTPUT,
  // Without the branch for callers without a worker: LiteRT is only in the worker.
  external: ["./local-engine.js"],
});
await build({ ...common, entryPoints: { app: "page/style.css" }, outdir: OUTPUT });
await build({ ...WORKER, outfile: `${OUTPUT}/worker.js` });
for (const name of ["index.html", "icon.svg", "app.webmanifest", "licenses.txt"]) {
  copyFileSync(`page/${name}`, `${OUTPUT}/${name}`);
}

const shell = readdirSync(OUTPUT);
const hash = createHash("sha256");
for (const name of shell.sort()) {
  hash.update(name).update(readFileSync(`${OUTPUT}/${name}`));
}
await build({
  ...common,
  entryPoints: { sw: "page/sw.ts" },
  format: "iife",
  outdir: OUTPUT,
  define: {
    VERSION: JSON.stringify(hash.digest("hex").slice(0, 12)),
    LITERT: JSON.stringify(litert),
    SHELL: JSON.stringify(["./", ...shell.filter((name) => name !== "index.html")]),
    // Additional files from `tinytl_tf.web.page_resources`.
    LOADED: JSON.stringify([
      ...["models.json", "general.tflite", "general.manifest.json"],
      ...["model/model.tflite", "model/model.manifest.json"],
      ...readdirSync("node_modules/@litertjs/core/wasm").map((name) => `wasm/${name}`),
    ]),
  },
});
const size = readdirSync(OUTPUT).reduce((sum, name) => sum + readFileSync(`${OUTPUT}/${name}`).length, 0);
console.log(`${OUTPUT}: ${size} bytes`);
