// Bundles the tests of a folder and runs them with Node's own test runner.
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { build } from "esbuild";

/**
 * Returns the exit status.
 *
 * @param {string} folder folder of the tests; their output is in `build/`
 * @param {string[]} options for `node`
 * @param {NodeJS.ProcessEnv} env environment of the tests
 */
export async function runTests(folder, options = [], env = process.env) {
  const output = `build/${folder}`;
  rmSync(output, { recursive: true, force: true });
  await build({
    entryPoints: readdirSync(folder)
      .filter((name) => name.endsWith(".test.ts"))
      .map((name) => `${folder}/${name}`),
    bundle: true,
    platform: "node",
    format: "esm",
    packages: "external",
    sourcemap: "inline",
    outdir: output,
    outExtension: { ".js": ".mjs" },
    logLevel: "warning",
  });
  const tests = readdirSync(output).map((name) => `${output}/${name}`);
  const words = ["--enable-source-maps", "--test", ...options, ...process.argv.slice(2), ...tests];
  return spawnSync(process.execPath, words, { stdio: "inherit", env }).status ?? 1;
}
