import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

const CHROMIUM = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/google-chrome"].find(existsSync);
const PYTHON = process.env.PYTHON ?? "python3";

/**
 * Returns the environment of a program that opens the page in a browser, and why there can be none.
 *
 * @returns {{ env: NodeJS.ProcessEnv, missing: string }}
 */
export function browserEnvironment() {
  const env = { ...process.env, CHROMIUM, PYTHON };
  if (!CHROMIUM) {
    return { env, missing: "no Chromium is installed (Debian: apt-get install chromium)" };
  }
  if (spawnSync(PYTHON, ["-c", "import tinytl_tf"]).status !== 0) {
    return { env, missing: `${PYTHON} has no tinytl_tf, whose server serves the page (pip install -e .)` };
  }
  return { env, missing: "" };
}
