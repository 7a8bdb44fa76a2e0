import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import {
  alerted,
  axeFindings,
  drop,
  evaluate,
  GOLDEN,
  newPage,
  openWithPhotos,
  said,
  saveState,
  SAME_LOSS,
  SCREENS,
  screenshot,
  startBrowser,
  step,
} from "./browser.js";
import { Server } from "./server.js";

const FOLDERS = ["stripes", "disk", "cross", "leaf"].map((name) => `${GOLDEN}/photos/${name}`);
const golden = JSON.parse(readFileSync(`${GOLDEN}/training_float32.json`, "utf-8")) as {
  exported_state_sha256: string;
  state_after: string;
};

const largePhoto = (
  JSON.parse(readFileSync(`${GOLDEN}/pixels.json`, "utf-8")) as {
    photos: readonly { readonly photo: string; readonly pixels: string }[];
  }
).photos.find(({ photo }) => photo === "leaf/large.png")!;

describe("the page", () => {
  let server: Server;
  let browser: Browser;
  const folder = mkdtempSync(join(tmpdir(), "tinytl-journey-"));
  before(async () => {
    server = await Server.start(`--model=${GOLDEN}/model_float32.tflite`);
    browser = await startBrowser();
  });
  after(async () => {
    await browser.close();
    await server.stop();
  });

  for (const [screen, options] of Object.entries(SCREENS)) {
    test(`the whole way with folders on a ${screen}`, async () => {
      const page = await newPage(browser, options);
      await page.goto(server.address);
      await said(page, "The model model_float32 is ready.");
      await page.getByText("This page now works offline.").waitFor();
      await screenshot(page, `${screen}-1-empty`);
      assert.equal(await page.getByText("This model has learned in this browser.").isVisible(), false);
      const exported = await saveState(page, join(folder, "exported.tinytl"));
      assert.equal(createHash("sha256").update(exported).digest("hex"), golden.exported_state_sha256);

      const train = page.getByRole("button", { name: "Train", exact: true });
      await step(page, "train");
      assert.ok(await train.isDisabled());
      await page
        .getByText("Too few photos: training needs at least 2 photos in each of 2 classes.")
        .waitFor();
      await step(page, "photos");
      if (screen === "desktop") {
        await drop(page, FOLDERS);
      } else {
        await page.getByLabel("Add folders").setInputFiles(`${GOLDEN}/photos`);
      }
      await said(page, /Added 12 photos \(.*stripes: 3/);
      const names = page.getByLabel(/^Name of class/);
      const shown = await names.evaluateAll((inputs) =>
        inputs.map((input) => (input as HTMLInputElement).value),
      );
      assert.deepEqual(shown.sort(), ["cross", "disk", "leaf", "stripes"]);
      assert.equal(await page.getByText("3 photos").count(), 4);

      await screenshot(page, `${screen}-2-photos`);
      // With the keyboard alone.
      await step(page, "train");
      await page.getByText("Settings").focus();
      await page.keyboard.press("Enter");
      await page.getByLabel("Passes over the photos").fill("30");
      await train.focus();
      await page.keyboard.press("Enter");
      assert.equal(await page.evaluate(() => document.activeElement?.id), "cancel");
      await said(page, /Done after 30 steps: \d+ % of the held-out photos are right, \d+ % before/);
      assert.equal(await page.evaluate(() => document.activeElement?.id), "train");
      await page.getByText("Step 30 of 30").waitFor();
      await page.getByRole("img", { name: /^Loss from \d+\.\d\d to \d+\.\d\d in 30 steps/ }).waitFor();
      const facts = await page.locator("#training-facts").innerText();
      assert.match(facts, /Time of a step\s+\d+ ms/);
      assert.match(facts, /Memory of the runtime\s+[1-9]\d*\.\d MB/);
      const [curve] = await page
        .getByRole("img", { name: /^Loss from/ })
        .evaluateAll((images) => images.map((image) => image.getAttribute("aria-label") ?? ""));
      const [, first, last] = /^Loss from (\d+\.\d\d) to (\d+\.\d\d)/.exec(curve!)!;
      assert.ok(Number(last) < Number(first), curve);
      const cells = await page.getByRole("row", { name: /^Loss/ }).getByRole("cell").allInnerTexts();
      await screenshot(page, `${screen}-3-trained`);
      await page.getByText(/^\d+ % → \d+ %$/).waitFor();
      const predicted = await page.locator("#confusion tbody td").allInnerTexts();
      // Python holds the same photos out, and says the same of them.
      const counts = await page
        .getByRole("row", { name: /^Photos/ })
        .getByRole("cell")
        .allInnerTexts();
      // Each held-out photo is predicted once.
      assert.equal(
        predicted.reduce((sum, text) => sum + Number(text), 0),
        Number(counts[1]),
      );
      const learned = await saveState(page, join(folder, `${screen}.tinytl`));
      const states = [undefined, join(folder, `${screen}.tinytl`)];
      for (const [index, state] of states.entries()) {
        const { images, loss } = evaluate(`${GOLDEN}/model_float32.tflite`, `${GOLDEN}/photos`, state);
        assert.equal(Number(counts[index]), images);
        assert.ok(Math.abs(Number(cells[index]) - loss) < SAME_LOSS, `${cells[index]} and ${loss}`);
      }

      // A photo, with what was said before: looking must not change the model.
      await page.getByLabel("Choose a photo").setInputFiles(`${GOLDEN}/photos/leaf/large.png`);
      await said(page, /: \d+ %/);
      assert.deepEqual(await shownPixels(page), readFileSync(`${GOLDEN}/${largePhoto.pixels}`));
      await page.getByLabel("Also show the answer from before training").check();
      await page
        .getByText(/\d+ %, before \d+ %/)
        .first()
        .waitFor();
      assert.equal(await page.getByRole("list", { name: "Predictions" }).getByRole("listitem").count(), 5);
      assert.deepEqual(await saveState(page, join(folder, "again.tinytl")), learned);

      // Each comparison puts the exported state into the model for a moment; what is saved meanwhile is what was learned.
      for (let turn = 0; turn < 10; turn++) {
        await page.evaluate(() => {
          const before = document.querySelector<HTMLInputElement>("#try-before");
          for (let repeat = 0; repeat < 5; repeat++) {
            before?.dispatchEvent(new Event("change"));
          }
        });
        assert.deepEqual(await saveState(page, join(folder, "meanwhile.tinytl")), learned, `turn ${turn}`);
      }
      await screenshot(page, `${screen}-4-tried`);
      assert.deepEqual(await axeFindings(page), []);
      await page.emulateMedia({ colorScheme: "dark" });
      await screenshot(page, `${screen}-5-dark`);
      assert.deepEqual(await axeFindings(page), []);
      const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(content <= window, `${content} pixels of content in a window of ${window}`);

      // The file is what Python reads, and trains from.
      const learnedFile = join(folder, `${screen}.tinytl`);
      const { accuracy } = evaluate(`${GOLDEN}/model_float32.tflite`, `${GOLDEN}/photos`, learnedFile);
      assert.ok(accuracy >= 0 && accuracy <= 1);

      // Back, and back again.
      await page.getByRole("button", { name: "Reset the model" }).click();
      await said(page, "The model is as it was exported.");
      assert.equal(await page.getByText("This model has learned in this browser.").isVisible(), false);
      const reset = await saveState(page, join(folder, "reset.tinytl"));
      assert.deepEqual(values(reset), values(exported));
      await page.getByRole("button", { name: "Undo" }).click();
      await said(page, "What the model had learned is back.");
      assert.deepEqual(await saveState(page, join(folder, "undone.tinytl")), learned);

      // Python's state comes in, damaged ones do not.
      const python = readFileSync(`${GOLDEN}/${golden.state_after}`);
      await page.getByLabel("Load state").setInputFiles(`${GOLDEN}/${golden.state_after}`);
      await said(page, `Loaded ${golden.state_after}`);
      assert.deepEqual(await saveState(page, join(folder, "loaded.tinytl")), python);
      const damaged = join(folder, "damaged.tinytl");
      writeFileSync(
        damaged,
        python.map((byte, index) => (index === 1000 ? byte ^ 1 : byte)),
      );
      await page.getByLabel("Load state").setInputFiles(damaged);
      await alerted(page, /damaged.tinytl is damaged: expected checksum/);
      await screenshot(page, `${screen}-6-damaged`);
      assert.deepEqual(await saveState(page, join(folder, "kept.tinytl")), python);

      // Closed and opened again, all is there, and the page says that the model has learned.
      await page.reload();
      await said(page, "is ready. It has what it learned here before.");
      assert.equal(await page.getByText("3 photos").count(), 4);
      await step(page, "try");
      await page.getByText("This model has learned in this browser.").waitFor();
      assert.deepEqual(await saveState(page, join(folder, "reopened.tinytl")), python);

      const remove = page.locator("#forget");
      await remove.click();
      assert.equal(await remove.innerText(), "Press again to delete 12 photos");
      await remove.click();
      await said(page, "All photos are deleted");
      assert.equal(await page.getByText("3 photos").count(), 0);
      await page.context().close();
    });
  }

  test("a name is asked for once", async () => {
    const page = await newPage(browser);
    await page.goto(server.address);
    await said(page, "is ready");
    await page.getByLabel("Name of class 2").fill("stripes");
    await page.getByLabel("Name of class 2").press("Enter");
    await alerted(page, /expected a name of its own for each class, got "stripes" twice/i);
    assert.equal(await page.getByLabel("Name of class 2").inputValue(), "disk");
    for (let count = 3; count <= 5; count++) {
      await page.getByRole("button", { name: "Add a class" }).click();
    }
    assert.ok(await page.getByRole("button", { name: "Add a class" }).isDisabled());
    await page.getByRole("button", { name: "Remove class cross" }).click();
    await said(page, "Removed the class cross.");
    await page.context().close();
  });

  test("a tab that was closed goes on", async () => {
    const context = await browser.newContext();
    const first = await openWithPhotos(context, server);
    await first.getByText("Settings").click();
    await first.getByLabel("Passes over the photos").fill("400");
    await first.getByRole("button", { name: "Train", exact: true }).click();
    await first.getByText(/^Step [3-9]\d of 400$/).waitFor();
    await first.close();

    const second = await context.newPage();
    await second.goto(server.address);
    await second.getByText(/A training was stopped after [2-9]0 steps/).waitFor();
    await screenshot(second, "resume");
    await second.getByRole("button", { name: "Continue" }).click();
    await second.getByText(/^Step 1\d\d of 400$/).waitFor();
    await second.getByRole("button", { name: "Stop" }).click();
    await said(second, "Stopped.");
    await second.getByText(/A training was stopped after 1\d\d steps/).waitFor();
    await second.getByRole("button", { name: "Start over instead" }).click();
    await second.locator("#resume").waitFor({ state: "hidden" });
    await context.close();
  });

  test("files that do not fit are refused in words", async () => {
    const page = await newPage(browser);
    await page.goto(server.address);
    await said(page, "is ready");
    await page.getByLabel("Open your own").setInputFiles(`${GOLDEN}/model_int8.tflite`);
    await alerted(
      page,
      /expected two files of a model, NAME.tflite and NAME.manifest.json, got model_int8.tflite/i,
    );
    await drop(page, [`${GOLDEN}/model_int8.tflite`, `${GOLDEN}/model_float32.manifest.json`]);
    await alerted(page, /expected the model with SHA-256 .* choose both files of one export/i);
    await drop(page, [`${GOLDEN}/make.py`]);
    await alerted(page, /expected photos, folders of photos, .* got .*make.py/i);
    const severalAttributes = join(folder, "several.manifest.json");
    const manifest = readFileSync(`${GOLDEN}/model_int8.manifest.json`, "utf-8");
    writeFileSync(severalAttributes, manifest.replace('"classification"', '"multilabel"'));
    await drop(page, [`${GOLDEN}/model_int8.tflite`, severalAttributes]);
    await alerted(
      page,
      /expected a model of one class for each photo, got model_int8 of several attributes/i,
    );
    await drop(page, [`${GOLDEN}/model_array.tflite`, `${GOLDEN}/model_array.manifest.json`]);
    await alerted(
      page,
      /^expected a model of photos, got model_array of float arrays, which this page cannot take/i,
    );
    await screenshot(page, "refused");
    assert.equal(await page.getByLabel("Model to train").inputValue(), "0");
    await drop(page, [`${GOLDEN}/model_int8.tflite`, `${GOLDEN}/model_int8.manifest.json`]);
    await said(page, "The model model_int8 is ready.");
    await page.getByRole("alert").waitFor({ state: "hidden" });
    assert.equal(await page.getByLabel("Model to train").inputValue(), "own");
    await page.context().close();
  });

  test("offline after it was loaded once", async () => {
    const other = await Server.start(`--model=${GOLDEN}/model_int8.tflite`);
    const context = await browser.newContext();
    const page = await openWithPhotos(context, other);
    await other.stop();
    await page.reload();
    await said(page, "The model model_int8 is ready.");
    await page.getByRole("button", { name: "Train", exact: true }).click();
    await said(page, /Done after 20 steps/);
    await context.close();
  });

  test("an old browser is told what it lacks", async () => {
    const page = await newPage(browser);
    await page.addInitScript("delete window.Worker; delete window.createImageBitmap;");
    await page.goto(server.address);
    await alerted(page, /this browser lacks web workers, image bitmaps; use Chrome or Edge 91/i);
    await screenshot(page, "old-browser");
    await page.context().close();
  });

  test("without scripts there are words", async () => {
    const page = await newPage(browser, { javaScriptEnabled: false });
    await page.goto(server.address);
    await page.getByText("If nothing else appears, this browser is too old or blocks scripts.").waitFor();
    await page.context().close();
  });

  test("a runtime that cannot be loaded is named", async () => {
    const page = await newPage(browser, { serviceWorkers: "block" });
    await page.route(/\.wasm$/, (route) => route.abort());
    await page.goto(server.address);
    await alerted(page, /cannot start LiteRT from .*wasm\//i);
    await page.context().close();
  });
});

test("without a camera the page says so and goes on", async () => {
  const server = await Server.start();
  const browser = await startBrowser(false);
  try {
    const page = await newPage(browser, { permissions: [] });
    await page.goto(server.address);
    await said(page, "The model general is ready.");
    // Of its manifest: it was trained with momentum.
    assert.equal(await page.getByLabel("Learning rate").inputValue(), "0.003");
    await page.getByRole("button", { name: "Start camera" }).click();
    await alerted(page, /(found none; connect one|was not allowed).*add photos from files instead/i);
    await screenshot(page, "no-camera");
    await page.getByLabel("Add folders").setInputFiles(`${GOLDEN}/photos`);
    await said(page, /Added 12 photos/);
    await page.getByRole("alert").waitFor({ state: "hidden" });
  } finally {
    await browser.close();
    await server.stop();
  }
});

test("with threads where the server sends their headers", async () => {
  const server = await Server.start("--wasm_threads", `--model=${GOLDEN}/model_float32.tflite`);
  const browser = await startBrowser();
  try {
    const context = await browser.newContext();
    const loaded: string[] = [];
    context.on("request", (request) => loaded.push(new URL(request.url()).pathname));
    const page = await openWithPhotos(context, server);
    assert.equal(await page.evaluate(() => crossOriginIsolated), true);
    await page.getByRole("button", { name: "Train", exact: true }).click();
    await said(page, /Done after 20 steps/);
    assert.ok(loaded.includes("/wasm/litert_wasm_threaded_internal.wasm"), loaded.join(" "));
  } finally {
    await browser.close();
    await server.stop();
  }
});

/** What the model was shown, as the page draws it. */
async function shownPixels(page: Page): Promise<Buffer> {
  const levels = await page.evaluate(() => {
    const canvas = document.querySelector<HTMLCanvasElement>("#try-picture")!;
    const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
    return [...data].filter((_, index) => index % 4 !== 3);
  });
  return Buffer.from(levels);
}

/** The values of a state file; zeros of both signs are the same. */
function values(file: Buffer): number[] {
  const count = file.readUInt32LE(44);
  return Array.from({ length: count }, (_, index) => file.readFloatLE(48 + 4 * index) + 0);
}
