import { after, before, describe } from "node:test";
import type { Browser, Page } from "playwright-core";
import { addPackage, newPage, startBrowser } from "./browser.js";
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
});
