import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser, BrowserContext, Page } from "playwright-core";
import {
  addPackage,
  alerted,
  axeFindings,
  drop,
  GOLDEN,
  said,
  screenshot,
  startBrowser,
  stored,
} from "./browser.js";
import type { PackageGlobal } from "./browser.js";
import { Server } from "./server.js";

const FOLDERS = ["stripes", "disk"].map((name) => `${GOLDEN}/photos/${name}`);
const TAKEN = "This page is open in another tab of this browser.";

describe("two tabs of the page", () => {
  let server: Server;
  let browser: Browser;
  let context: BrowserContext;
  let first: Page;
  let second: Page;
  before(async () => {
    server = await Server.start(`--model=${GOLDEN}/model_spare.tflite`);
    browser = await startBrowser(false);
    context = await browser.newContext();
    first = await open();
    second = await open();
  });
  after(async () => {
    await browser.close();
    await server.stop();
  });

  async function open(): Promise<Page> {
    const page = await context.newPage();
    await page.goto(server.address);
    await said(page, "is ready");
    return page;
  }

  const names = (page: Page) =>
    page
      .getByLabel(/^Name of class/)
      .evaluateAll((inputs) => inputs.map((input) => (input as HTMLInputElement).value));

  test("the second is told, and cannot change what is stored", async () => {
    assert.equal(await first.getByText(TAKEN).isVisible(), false);
    await second.getByText(TAKEN).waitFor();
    await screenshot(second, "second-tab");
    assert.deepEqual(await axeFindings(second), []);
    const changing = [
      ...["#model-select", "#model-files", "#folder-files", "#add-class", "#train", "#load", "#reset"],
      "#open-project",
      ...["#forget", "#epochs", ".class-name", ".add", ".remove-class"],
    ];
    for (const selector of changing) {
      const controls = await second.locator(selector).all();
      assert.ok(controls.length > 0, selector);
      for (const control of controls) {
        assert.ok(await control.isDisabled(), selector);
      }
    }
    await drop(second, FOLDERS);
    await alerted(second, /expected no files in a second tab of this page/i);
    assert.deepEqual(await stored(second, "photos"), {});
  });

  test("the first one goes on, and nothing of it is lost", async () => {
    await drop(first, FOLDERS);
    await said(first, /Added 6 photos/);
    await first.getByLabel("Name of class 1").fill("anna");
    await first.getByLabel("Name of class 1").press("Tab");
    await first.getByText("New to the model").waitFor();
    await first.getByRole("button", { name: "Train", exact: true }).click();
    await said(first, /^Done after 20 steps/);
    await first.reload();
    await said(first, "is ready");
    assert.equal(await first.getByText(TAKEN).isVisible(), false);
    assert.deepEqual(await names(first), ["anna", "disk"]);
    assert.equal(await first.getByText("3 photos").count(), 2);
    assert.equal(Object.keys(await stored(first, "photos")).length, 6);
  });

  test("when it is closed, the second is loaded again and has all of it", async () => {
    await first.close();
    await second.getByRole("button", { name: "Reload this page" }).click();
    await second.getByText("3 photos").first().waitFor();
    await said(second, "is ready");
    assert.equal(await second.getByText(TAKEN).isVisible(), false);
    assert.deepEqual(await names(second), ["anna", "disk"]);
    assert.ok(await second.getByRole("button", { name: "Train", exact: true }).isEnabled());
  });
});

describe("the package in a page", () => {
  test("carries out calls that overlap in their order, in the worker, too", async () => {
    const server = await Server.start(`--model=${GOLDEN}/model_spare.tflite`);
    const browser = await startBrowser(false);
    try {
      const page = await browser.newPage();
      await page.goto(server.address);
      await addPackage(page);
      const result = await page.evaluate(async () => {
        const { TrainableModel, WorkerEngine } = (globalThis as unknown as PackageGlobal).tinytl;
        const model = await (await fetch("model/model.tflite")).arrayBuffer();
        const manifest = await (await fetch("model/model.manifest.json")).text();
        const at = (name: string) => new URL(name, location.href).href;
        const engine = await WorkerEngine.start({ wasm: at("wasm/") }, at("worker.js"));
        const opened = await TrainableModel.load(model, manifest, { engine });
        const images = new Uint8Array(4 * 64 * 64 * 3).map((_, index) => (index * 37) % 256);
        const start = await opened.state();
        const [violet, step, brown, state] = await Promise.all([
          opened.addClass("violet"),
          opened.train(images, [0, 1, 2, 5], 0.01),
          opened.addClass("brown"),
          opened.state(),
        ]);
        const moved = state.slice(0, 5).some((value, index) => value !== start[index]);
        const names = opened.classNames.slice(-2);
        await opened.delete();
        return { labels: [violet, brown], applied: step.applied, moved, names };
      });
      assert.deepEqual(result, {
        labels: [5, 6],
        applied: true,
        moved: true,
        names: ["violet", "brown"],
      });
    } finally {
      await browser.close();
      await server.stop();
    }
  });

  test("refuses a second training of one store", async () => {
    const server = await Server.start();
    const browser = await startBrowser(false);
    try {
      const context = await browser.newContext();
      const pages = await Promise.all([context.newPage(), context.newPage()]);
      for (const page of pages) {
        await page.goto(server.address);
        await addPackage(page);
      }
      const [first, second] = pages;
      await first.evaluate(() => {
        const { IndexedDbStore } = (globalThis as unknown as PackageGlobal).tinytl;
        void new IndexedDbStore("roses").exclusively(() => new Promise(() => undefined));
      });
      const attempt = () =>
        second.evaluate(async () => {
          const { IndexedDbStore } = (globalThis as unknown as PackageGlobal).tinytl;
          return new IndexedDbStore("roses")
            .exclusively(() => Promise.resolve("done"))
            .catch((error: unknown) => (error as Error).message);
        });
      assert.match(await attempt(), /expected no other training of this model in this browser, found one/);
      await first.close();
      let last = "";
      for (let tries = 0; tries < 50 && last !== "done"; tries++) {
        last = await attempt(); // the browser lets go of a closed tab's lock in its own time
      }
      assert.equal(last, "done");
    } finally {
      await browser.close();
      await server.stop();
    }
  });
});
