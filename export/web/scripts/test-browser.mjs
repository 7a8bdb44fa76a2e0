// Tests the page in Chromium, served by `tinytl serve`. Environment: CHROMIUM, the browser; PYTHON, which has tinytl_tf.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { build } from "esbuild";

const OUTPUT = "build/browser-test";
const CHROMIUM = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/google-chrome"].find(existsSync);
const PYTHON = process.env.PYTHON ?? "python3";

if (!CHROMIUM) {
  console.log("browser tests skipped: no Chromium is installed (Debian: apt-get install chromium)");
  process.exit(0);
}
if (spawnSync(PYTHON, ["-c", "import tinytl_tf"]).status !== 0) {
  console.log(
    `browser tests skipped: ${PYTHON} has no tinytl_tf, whose server serves the page (pip install -e .)`,
  );
  process.exit(0);
}
rmSync(OUTPUT, { recursive: true, force: true });
await build({
  entryPoints: readdirSync("browser-test")
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => `browser-test/${name}`),
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
  ["--enable-source-maps", "--test", "--test-concurrency=1", ...process.argv.slice(2), ...tests],
  { stdio: "inherit", env: { ...process.env, CHROMIUM, PYTHON } },
);
process.exit(status ?? 1);
