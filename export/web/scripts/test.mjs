// Bundles each test and runs it with Node's own test runner; no browser is needed.
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { build } from "esbuild";

const OUTPUT = "build/test";
rmSync(OUTPUT, { recursive: true, force: true });
await build({
  entryPoints: readdirSync("test")
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => `test/${name}`),
  bundle: true,
  platform: "node",
  format: "esm",
  packages: "external",
  sourcemap: "inline",
  outdir: OUTPUT,
  outExtension: { ".js": ".mjs" },
  logLevel: "warning",
});
const tests = readdirSync(OUTPUT).map((name) => `${OUTPUT}/${name}`);
const { status } = spawnSync(
  process.execPath,
  ["--enable-source-maps", "--test", ...process.argv.slice(2), ...tests],
  {
    stdio: "inherit",
  },
);
process.exit(status ?? 1);
