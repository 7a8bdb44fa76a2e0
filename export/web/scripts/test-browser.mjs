// Tests the page in Chromium, served by `tinytl serve`. Environment: CHROMIUM, the browser; PYTHON, which has tinytl_tf.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { runTests } from "./run-tests.mjs";

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
process.exit(await runTests("browser-test", ["--test-concurrency=1"], { ...process.env, CHROMIUM, PYTHON }));
