import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import puppeteer from "puppeteer-core";
import type { Browser, Page } from "puppeteer-core";
import { addPackage, GOLDEN, SCREENSHOTS } from "./browser.js";
import { testGoldenPixels } from "./golden-pixels.js";
import { Server } from "./server.js";

const FIREFOX = process.env.FIREFOX ?? ["/usr/bin/firefox-esr", "/usr/bin/firefox"].find(existsSync);
const golden = JSON.parse(readFileSync(`${GOLDEN}/training_float32.json`, "utf-8")) as {
  exported_state_sha256: string;
};

// Playwright drives a Firefox of its own only, which no registry has; Puppeteer drives any.
describe(
  "Firefox",
  { skip: FIREFOX ? false : "no Firefox is installed (Debian: apt-get install firefox-esr)" },
  () => {
    let server: Server;
    let browser: Browser;
    let page: Page;
    before(async () => {
      server = await Server.start(`--model=${GOLDEN}/model_float32.tflite`);
      browser = await puppeteer.launch({
        browser: "firefox",
        executablePath: FIREFOX!,
        defaultViewport: { width: 1280, height: 900 },
        extraPrefsFirefox: {
          "media.navigator.streams.fake": true,
          "media.navigator.permission.disabled": true,
        },
      });
      page = await browser.newPage();
      page.setDefaultTimeout(180_000);
      await page.goto(server.address);
      await said("The model model_float32 is ready.");
    });
    after(async () => {
      await browser.close();
      await server.stop();
    });

    async function said(text: string): Promise<void> {
      await page.waitForFunction(
        (wanted) => document.querySelector("#status")?.textContent.includes(wanted),
        {},
        text,
      );
    }

    /** What the page would download. */
    async function savedState(): Promise<Buffer> {
      const base64 = await page.evaluate(async () => {
        const make = URL.createObjectURL.bind(URL);
        const blob = await new Promise<Blob>((resolve) => {
          URL.createObjectURL = (file: Blob) => {
            resolve(file);
            return make(file);
          };
          document.querySelector<HTMLElement>("#save")?.click();
        });
        URL.createObjectURL = make;
        return btoa(String.fromCharCode(...new Uint8Array(await blob.arrayBuffer())));
      });
      return Buffer.from(base64, "base64");
    }

    test("trains on photos from files, keeps what it learned, and takes it back", async () => {
      const exported = await savedState();
      assert.equal(createHash("sha256").update(exported).digest("hex"), golden.exported_state_sha256);
      for (const [index, name] of ["stripes", "disk"].entries()) {
        const input = (await page.$$<"input">("input.add" as "input"))[index]!;
        await input.uploadFile(
          ...readdirSync(`${GOLDEN}/photos/${name}`).map((f) => `${GOLDEN}/photos/${name}/${f}`),
        );
        await said(`Added 3 photos to ${name}.`);
      }
      await page.click("#train");
      await said("Done after 20 steps");
      const learned = await savedState();
      assert.notDeepEqual(learned, exported);
      mkdirSync(SCREENSHOTS, { recursive: true });
      await page.screenshot({ path: `${SCREENSHOTS}/firefox.png`, fullPage: true });
      await page.reload();
      await said("is ready");
      const counts = await page.$$eval(".count", (texts) => texts.map(({ textContent }) => textContent));
      assert.deepEqual(counts, ["3 photos", "3 photos"]);
      assert.deepEqual(await savedState(), learned);
    });

    test("watches a camera", async () => {
      await page.click("#try-camera");
      await page.waitForFunction(() => document.querySelectorAll("#bars li").length > 0);
      await page.click("#try-camera");
      await page.click("#camera-toggle");
      await said("The camera is off.");
    });

    describe("photos that it decodes", () => {
      before(() => addPackage(page));
      testGoldenPixels((work, asked) => page.evaluate(work, asked));
    });

    test("offline after it was loaded once", async () => {
      await server.stop();
      await page.reload();
      await said("is ready");
    });
  },
);
