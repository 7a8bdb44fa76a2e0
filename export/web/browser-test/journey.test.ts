import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { resolve } from "node:path";
import type { Browser } from "playwright-core";
import { SCREENS, axeFindings, drop, said, screenshot, startBrowser } from "./browser.js";
import { Server } from "./server.js";

const GOLDEN = resolve("../../golden");

describe("first look", () => {
  let server: Server;
  let browser: Browser;
  before(async () => {
    server = await Server.start(`--model=${GOLDEN}/model_int8.tflite`);
    browser = await startBrowser();
  });
  after(async () => {
    await browser.close();
    await server.stop();
  });
  for (const [name, options] of Object.entries(SCREENS)) {
    test(name, async () => {
      const page = await browser.newPage(options);
      page.on("console", (message) => console.log("console", message.text().slice(0, 200)));
      page.on("pageerror", (error) => console.log("pageerror", error.message));
      await page.goto(server.address);
      await said(page, "is ready");
      await screenshot(page, `${name}-0`);
      await drop(
        page,
        ["stripes", "disk", "cross", "leaf"].map((folder) => `${GOLDEN}/photos/${folder}`),
      );
      await said(page, /Added/).catch((error) => console.log(error.message));
      await screenshot(page, `${name}-1`);
      await page.getByRole("button", { name: "Train", exact: true }).click();
      await said(page, "Done").catch((error) => console.log(error.message));
      await page.getByLabel("Choose a photo").setInputFiles(`${GOLDEN}/photos/leaf/large.png`);
      await page.waitForTimeout(500);
      await screenshot(page, `${name}-2`);
      assert.deepEqual(await axeFindings(page), []);
    });
  }
});
