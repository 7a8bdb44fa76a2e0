// Runs the tests that need no browser.
import { runTests } from "./run-tests.mjs";

process.exit(await runTests("test"));
