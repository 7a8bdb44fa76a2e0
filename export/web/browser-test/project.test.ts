import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { alerted, drop, GOLDEN, newPage, said, saveState, startBrowser, stored } from "./browser.js";
import { Server } from "./server.js";

const folder = mkdtempSync(join(tmpdir(), "tinytl-project-"));
const PROJECT = join(folder, "mine.zip");

describe("a project", () => {
  let server: Server;
  let browser: Browser;
  let page: Page;
  let state: Buffer;
  before(async () => {
    server = await Server.start(`--model=${GOLDEN}/model_spare.tflite`);
    browser = await startBrowser(false);
  });
  after(async () => {
    await browser.close();
    await server.stop();
  });

  async function open(): Promise<void> {
    page = await newPage(browser);
    await page.goto(server.address);
    await said(page, "is ready");
  }

  const shown = async () => ({
    names: await page
      .getByLabel(/^Name of class/)
      .evaluateAll((inputs) => inputs.map((input) => (input as HTMLInputElement).value)),
    counts: await page.locator(".count").allInnerTexts(),
    trained: ((await stored(page, "values")).trained as string[]).sort(),
    digests: Object.values(await stored(page, "photos"))
      .map((photo) => (photo as { digest: string }).digest)
      .sort(),
  });

  test("takes photos that are dropped on a class", async () => {
    await open();
    const card = page.locator(".class").nth(1);
    const { x, y } = (await card.boundingBox())!;
    await drop(page, [`${GOLDEN}/photos/disk`], { x: x + 30, y: y + 10 });
    await said(page, "Added 3 photos to disk.");
    assert.deepEqual(await page.locator(".count").allInnerTexts(), ["0 photos", "3 photos"]);
  });

  test("is one file with the model, what it has learned, and the photos", async () => {
    await page.getByLabel("Name of class 1").fill("leaves/green");
    await page.getByLabel("Name of class 1").press("Tab");
    await page
      .getByLabel("Add photos… to leaves/green")
      .setInputFiles(
        ["turned_7.png", "large.png", "cmyk_5.jpg"]
          .map((name) => `${GOLDEN}/photos/leaf/${name}`)
          .slice(0, 2),
      );
    await said(page, "Added 2 photos to leaves/green.");
    await page.getByRole("button", { name: "Train", exact: true }).click();
    await said(page, /^Done after \d+ steps/);
    state = await saveState(page, join(folder, "learned.tinytl"));
    const waiting = page.waitForEvent("download");
    await page.getByRole("button", { name: "Save project" }).click();
    const download = await waiting;
    assert.equal(download.suggestedFilename(), "model_spare.zip");
    await download.saveAs(PROJECT);
    await said(page, /^Saved model_spare.zip, \d+\.\d MB: the model, its state and 5 photos\.$/);
  });

  test("is opened in another browser as it was", async () => {
    const before = await shown();
    await page.context().close();
    await open();
    await drop(page, [PROJECT]);
    await said(page, "Opened mine.zip: the model model_spare and 5 photos.");
    assert.deepEqual(await shown(), before);
    assert.deepEqual(await saveState(page, join(folder, "opened.tinytl")), state);
    await page.reload();
    await said(page, "is ready. It has what it learned here before.");
    assert.deepEqual(await shown(), before);
    assert.deepEqual(await saveState(page, join(folder, "reloaded.tinytl")), state);
  });

  test("asks before it replaces something", async () => {
    let asked = "";
    page.once("dialog", (dialog) => {
      asked = dialog.message();
      void dialog.dismiss();
    });
    await page.getByLabel("Open project").setInputFiles(PROJECT);
    await page.waitForFunction(() => !document.querySelector<HTMLInputElement>("#open-project")!.value);
    while (asked === "") {
      await page.waitForTimeout(50);
    }
    assert.equal(asked, "Open mine.zip? It replaces 5 photos and what the model has learned here.");
    assert.equal(Object.keys(await stored(page, "photos")).length, 5);
  });

  test("that is another file is refused, and nothing changes", async () => {
    const other = join(folder, "photos.zip");
    writeFileSync(other, "PK no project");
    await page.getByLabel("Open project").setInputFiles(other);
    await alerted(page, /expected a project, a .zip that “Save project” has written, got photos.zip/i);
    assert.deepEqual(await saveState(page, join(folder, "kept.tinytl")), state);
    assert.equal(Object.keys(await stored(page, "photos")).length, 5);
  });
});
