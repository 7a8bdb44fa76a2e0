/**
 * What somebody does who has installed the package and run `tinytl quickstart`, step by step, from `tinytl serve` to a
 * state that `tinytl evaluate` accepts.
 *
 * With QUICKSTART, the folder that `tinytl quickstart` has written, on its file `tinytl-b.tflite`; that takes minutes to
 * make, so that by default the small golden model stands for it.
 */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import {
  evaluate,
  GOLDEN,
  newPage,
  said,
  saveState,
  screenshot,
  SCREENS,
  SCREENSHOTS,
  startBrowser,
  step,
  waitForScene,
} from "./browser.js";
import { Server, WASM } from "./server.js";

const { QUICKSTART } = process.env;
const MODEL = QUICKSTART ? join(QUICKSTART, "tinytl-b.tflite") : `${GOLDEN}/model_float32.tflite`;
const TEST_DATA = QUICKSTART ? "digits-shifted" : `${GOLDEN}/photos`;
const OWN = [
  ["stripes", "blanket"],
  ["disk", "ball"],
] as const;

describe("a stranger", () => {
  const folder = mkdtempSync(join(tmpdir(), "tinytl-stranger-"));
  const state = join(folder, "mine.tinytl");
  let server: Server | undefined;
  let browser: Browser;
  let page: Page;
  let opened = 0;
  before(async () => {
    browser = await startBrowser();
  });
  after(async () => {
    await browser.close();
    await server?.stop();
  });

  test("runs `tinytl serve`, which prints an address", async () => {
    // The runtime is where an earlier download has put it; tests/web/test_litert.py tests the download.
    const { version } = JSON.parse(readFileSync(join(WASM, "../package.json"), "utf-8")) as {
      version: string;
    };
    cpSync(WASM, join(folder, "tinytl_tf", `litertjs-core-${version}`), { recursive: true });
    server = await Server.run([`--model=${MODEL}`], { ...process.env, XDG_CACHE_HOME: folder });
    assert.match(server.address, /^http:\/\/127\.0\.0\.1:\d+\/$/);
  });

  test("opens it", async () => {
    opened = Date.now();
    page = await newPage(browser, SCREENS.phone);
    await page.goto(server!.address);
    await said(page, `The model ${basename(MODEL, ".tflite")} is ready.`);
  });

  test("names two classes and takes photos with the camera", async () => {
    for (const [index, [, name]] of OWN.entries()) {
      await page.getByLabel(`Name of class ${index + 1}`).fill(name);
      await page.getByLabel(`Name of class ${index + 1}`).press("Tab");
    }
    await page.getByRole("button", { name: "Start camera" }).click();
    await said(page, "The camera is on.");
    for (const [scene, name] of OWN) {
      for (let count = 1; count <= 6; count++) {
        await waitForScene(page, scene);
        await page.getByRole("button", { name: `Record ${name}` }).click();
        await said(page, `${name}: ${count} photo`);
      }
    }
    const video = await page.locator("video").boundingBox();
    assert.ok(
      video && video.y >= 0 && video.y + video.height < 740,
      "the camera is in sight of the last button",
    );
    mkdirSync(SCREENSHOTS, { recursive: true });
    await page.screenshot({ path: `${SCREENSHOTS}/stranger-0-in-sight.png` });
    await screenshot(page, "stranger-1-photos");
  });

  test("trains, and the held-out photos, if there are any, are right", async (context) => {
    await step(page, "train");
    await page.getByRole("button", { name: "Train", exact: true }).click();
    await said(page, /Done after \d+ steps(: 100 % |\. Nothing is held out)/);
    context.diagnostic(`${((Date.now() - opened) / 1000).toFixed(0)} s from opening the address`);
  });

  test("sees live what the model says of the camera", async () => {
    await step(page, "try"); // where it watches since the training began
    for (const [scene, name] of [...OWN, OWN[0]]) {
      await waitForScene(page, scene);
      await page.waitForFunction((wanted) => {
        const bars = [...document.querySelectorAll("#bars li")].map((bar) => bar.textContent);
        return bars.some((text) => new RegExp(`^${wanted}(?:[6-9]\\d|100) %`).test(text));
      }, name);
    }
    await screenshot(page, "stranger-2-live");
    await page.getByRole("button", { name: "Stop watching" }).click();
    await step(page, "photos");
    await page.getByRole("button", { name: "Stop camera" }).click();
    await said(page, "The camera is off.");
  });

  test("downloads the state", async () => {
    const file = await saveState(page, state);
    assert.equal(file.subarray(0, 8).toString("latin1"), "TINYTL\r\n");
  });

  test("and `tinytl evaluate --state` accepts it", () => {
    const { loss } = evaluate(MODEL, TEST_DATA, state);
    assert.ok(Number.isFinite(loss));
    assert.notEqual(loss, evaluate(MODEL, TEST_DATA).loss);
  });
});
