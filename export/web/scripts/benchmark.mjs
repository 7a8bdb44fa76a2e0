// Runs a program of benchmark/, which prints JSON; the scripts in benchmarks/ of the repository call it.
//   node scripts/benchmark.mjs NAME ARGUMENT...
import { spawnSync } from "node:child_process";
import { build } from "esbuild";
import { browserEnvironment } from "./browser-environment.mjs";

const [name, ...words] = process.argv.slice(2);
const { env, missing } = browserEnvironment();
if (missing) {
  console.error(`cannot measure: ${missing}`);
  process.exit(2);
}
const outfile = `build/benchmark/${name}.mjs`;
await build({
  entryPoints: [`benchmark/${name}.ts`],
  bundle: true,
  platform: "node",
  format: "esm",
  packages: "external",
  sourcemap: "inline",
  outfile,
  logLevel: "warning",
});
process.exit(
  spawnSync(process.execPath, ["--enable-source-maps", outfile, ...words], { stdio: "inherit", env })
    .status ?? 1,
);
