import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const PACKAGED = "../../tinytl_tf/web/page";
const BUILT = "build/page";

test("the page in the Python package is the one that is built from these sources", () => {
  execFileSync(process.execPath, ["scripts/build-page.mjs", BUILT]);
  const names = readdirSync(BUILT).sort();
  assert.ok(names.includes("app.js"));
  assert.deepEqual(readdirSync(PACKAGED).sort(), names);
  for (const name of names) {
    assert.ok(
      readFileSync(`${PACKAGED}/${name}`).equals(readFileSync(`${BUILT}/${name}`)),
      `${name} is not current: run \`npm run page\` in export/web`,
    );
  }
});
