import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync } from "node:fs";
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
  SAME_LOSS,
  said,
  saveState,
  screenshot,
  startBrowser,
} from "./browser.js";
import { Server } from "./server.js";

const spare = JSON.parse(readFileSync(`${GOLDEN}/spare.json`, "utf-8")) as {
  class: string;
  state_after: string;
};

describe("a model with spare outputs", () => {
  const folder = mkdtempSync(join(tmpdir(), "tinytl-classes-"));
  const photos = join(folder, "photos");
  let server: Server;
  let browser: Browser;
  let page: Page;
  let shown: number; // loss of the held-out photos after the training
  before(async () => {
    for (const [name, from] of [
      ["stripes", "stripes"],
      ["ball", "disk"],
      ["cup", "leaf"],
    ] as const) {
      cpSync(`${GOLDEN}/photos/${from}`, join(photos, name), { recursive: true });
    }
    server = await Server.start(`--model=${GOLDEN}/model_spare.tflite`);
    browser = await startBrowser(false);
    page = await newPage(browser);
    await page.goto(server.address);
    await said(page, "The model model_spare is ready.");
  });
  after(async () => {
    await browser.close();
    await server.stop();
  });

  const file = (name: string) => join(folder, `${name}.tinytl`);
  const namesInFile = (hasText: RegExp) =>
    page.locator("#names-in-file").filter({ hasText }).waitFor({ state: "attached" });
  const bars = () => page.locator("#bars .bar-head span:first-child").allInnerTexts();

  test("learns classes of a person's own, whose names are in the state file", async () => {
    await page.locator("#model-panel summary").click();
    await page.getByText("Room for new classes").waitFor();
    await page.locator("#model-panel summary").click();
    await drop(
      page,
      ["stripes", "ball", "cup"].map((name) => join(photos, name)),
    );
    await said(page, /Added 9 photos/);
    assert.equal(await page.getByText("New to the model: training adds it.").count(), 2);
    assert.deepEqual(namesIn(await saveState(page, file("before"))), []);
    await train(page);
    shown = Number(await page.getByRole("row", { name: /^Loss/ }).getByRole("cell").last().innerText());
    assert.equal(await page.getByText("Added to the model; its name is in the state file.").count(), 2);
    assert.deepEqual(namesIn(await saveState(page, file("trained"))).sort(), ["ball", "cup"]);
    await namesInFile(/stripes, disk, cross, leaf, éclair, (ball, cup|cup, ball)/);
    await screenshot(page, "classes-1-trained");
    assert.deepEqual(await axeFindings(page), []);
  });

  test("which Python evaluates on photos of these classes", () => {
    const { loss } = evaluate(`${GOLDEN}/model_spare.tflite`, photos, file("trained"));
    assert.ok(Math.abs(shown - loss) < SAME_LOSS, `${shown} and ${loss}`);
  });

  test("shows them, with what was said before", async () => {
    await page.getByLabel("Choose a photo").setInputFiles(`${GOLDEN}/photos/disk/large_3.jpg`);
    await said(page, /: \d+ %/);
    assert.deepEqual((await bars()).sort(), ["ball", "cup", "others", "stripes"]);
    await page.getByLabel("Also show the answer from before training").check();
    const ball = page.locator("#bars li").filter({ hasText: /^ball/ });
    await ball.getByText(/^\d+ %, before 0 %$/).waitFor();
    const learned = readFileSync(file("trained"));
    assert.deepEqual(await saveState(page, file("looked")), learned);
  });

  test("a new name is a name in the file", async () => {
    await rename(page, "ball", "red ball");
    await namesInFile(/éclair, .*red ball/);
    assert.deepEqual(namesIn(await saveState(page, file("renamed"))).sort(), ["cup", "red ball"]);
    await rename(page, "red ball", "éclair");
    await rename(page, "éclair", "stripes");
    await alerted(page, /expected a name of its own for each class, got "stripes" twice/i);
    assert.deepEqual(namesIn(await saveState(page, file("renamed"))).sort(), ["cup", "red ball"]);
    await rename(page, "éclair", "red ball");
    await rename(page, "red ball", "ball");
    await namesInFile(/éclair, (ball, cup|cup, ball)/);
    assert.deepEqual(await saveState(page, file("renamed")), readFileSync(file("trained")));
  });

  test("Reset takes them out, and Undo brings them back", async () => {
    const learned = await saveState(page, file("learned"));
    await page.getByRole("button", { name: "Reset the model" }).click();
    await said(page, "The model is as it was exported.");
    assert.deepEqual(namesIn(await saveState(page, file("reset"))), []);
    assert.equal(await page.getByText("New to the model: training adds it.").count(), 2);
    await page.getByRole("button", { name: "Undo" }).click();
    await said(page, "What the model had learned is back.");
    assert.deepEqual(await saveState(page, file("undone")), learned);
    assert.equal(await page.getByText("New to the model: training adds it.").count(), 0);
  });

  test("the page that is opened again has them", async () => {
    const learned = await saveState(page, file("learned"));
    await page.reload();
    await said(page, "is ready");
    assert.equal(await page.getByText("3 photos").count(), 3);
    assert.deepEqual(await saveState(page, file("reopened")), learned);
  });

  test("Python's state comes with its class; a damaged name leaves all as it was", async () => {
    const python = readFileSync(`${GOLDEN}/${spare.state_after}`);
    await page.getByLabel("Load state").setInputFiles({
      name: "damaged.tinytl",
      mimeType: "",
      buffer: Buffer.from(python.map((byte, at) => (at === python.length - 5 ? byte ^ 1 : byte))),
    });
    await alerted(page, /damaged.tinytl is damaged: expected checksum/);
    assert.deepEqual(namesIn(await saveState(page, file("kept"))).sort(), ["ball", "cup"]);
    await page.getByLabel("Load state").setInputFiles(`${GOLDEN}/${spare.state_after}`);
    await said(page, `Loaded ${spare.state_after}`);
    assert.deepEqual(await saveState(page, file("loaded")), python);
    const names = await page
      .getByLabel(/^Name of class/)
      .evaluateAll((inputs) => inputs.map((input) => (input as HTMLInputElement).value));
    assert.ok(names.includes(spare.class), names.join());
    await screenshot(page, "classes-2-loaded");
  });

  test("a tab that was closed in the middle goes on with them", async () => {
    const context = page.context();
    await page.getByRole("button", { name: "Reset the model" }).click();
    await said(page, "The model is as it was exported.");
    await page.getByText("Settings").click();
    await page.getByLabel("Passes over the photos").fill("300");
    await page.getByRole("button", { name: "Train", exact: true }).click();
    await page.getByText(/^Step [3-9]\d of 300$/).waitFor();
    await page.close();
    page = await context.newPage();
    await page.goto(server.address);
    await page.getByText(/A training was stopped after [2-9]0 steps/).waitFor();
    await page.getByRole("button", { name: "Continue" }).click();
    await said(page, "Done after 300 steps");
    assert.deepEqual(namesIn(await saveState(page, file("resumed"))).sort(), ["ball", "cup"]);
  });
});

async function train(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Train", exact: true }).click();
  await said(page, /Done after \d+ steps/);
}

async function rename(page: Page, from: string, to: string): Promise<void> {
  const inputs = page.getByLabel(/^Name of class/);
  for (const input of await inputs.all()) {
    if ((await input.inputValue()) === from) {
      await input.fill(to);
      await input.press("Tab");
      return;
    }
  }
  assert.fail(`no class is called ${from}`);
}

/** Names of the added classes in a state file. */
function namesIn(state: Buffer): string[] {
  const end = 48 + 4 * state.readUInt32LE(44);
  return state.readUInt32LE(8) === 1
    ? []
    : state
        .subarray(end + 4, -4)
        .toString("utf-8")
        .split("\n");
}
