import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { addPackage, GOLDEN, newPage, startBrowser } from "./browser.js";
import type { PackageGlobal } from "./browser.js";
import { testGoldenPixels } from "./golden-pixels.js";
import { Server } from "./server.js";

describe("photos that Chromium decodes", () => {
  let server: Server;
  let browser: Browser;
  let page: Page;
  before(async () => {
    server = await Server.start();
    browser = await startBrowser(false);
    page = await newPage(browser);
    await page.goto(server.address);
    await addPackage(page);
  });
  after(async () => {
    await browser.close();
    await server.stop();
  });

  testGoldenPixels((work, asked) => page.evaluate(work, asked));

  test("a bitmap, an image, and canvases of both kinds have the pixels of their file", async () => {
    const file = readFileSync(`${GOLDEN}/photos/leaf/large.png`).toString("base64");
    const different = await page.evaluate(async (base64) => {
      const { photoFrom, photoFromFile } = (globalThis as unknown as PackageGlobal).tinytl;
      const size = [64, 64] as const;
      const blob = new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))]);
      const expected = await photoFromFile(blob, size);
      const bitmap = await createImageBitmap(blob);
      const image = new Image();
      image.src = URL.createObjectURL(blob);
      await image.decode();
      const canvas = document.createElement("canvas");
      const offscreen = new OffscreenCanvas(bitmap.width, bitmap.height);
      [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
      canvas.getContext("2d")!.drawImage(bitmap, 0, 0);
      offscreen.getContext("2d")!.drawImage(bitmap, 0, 0);
      return Object.entries({ bitmap, image, canvas, offscreen })
        .filter(([, drawable]) => photoFrom(drawable, size).pixels.join() !== expected.pixels.join())
        .map(([name]) => name);
    }, file);
    assert.deepEqual(different, []);
  });
});
