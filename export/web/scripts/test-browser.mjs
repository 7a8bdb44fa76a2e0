// Tests the page in Chromium, served by `tinytl serve`. Environment: CHROMIUM, the browser; PYTHON, which has tinytl_tf.
import { browserEnvironment } from "./browser-environment.mjs";
import { runTests } from "./run-tests.mjs";

const { env, missing } = browserEnvironment();
if (missing) {
  console.log(`browser tests skipped: ${missing}`);
  process.exit(0);
}
process.exit(await runTests("browser-test", ["--test-concurrency=1"], env));
