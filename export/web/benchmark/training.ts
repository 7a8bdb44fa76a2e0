/**
 * Trains in the page as a person does: opens it, chooses a folder of classes, trains, saves the state.
 *
 *     node scripts/benchmark.mjs training MODEL.tflite FOLDER PASSES RATE STATE.tinytl
 *
 * Prints `before` and `after` (share of the held-out photos that are right and their loss, as the page shows them),
 * `steps`, `seconds` from the press of the button to the end, and `facts` as the page shows them.
 */
import { resolve } from "node:path";
import { newPage, said, saveState, startBrowser } from "../browser-test/browser.js";
import { Server } from "../browser-test/server.js";

const HOURS = 3 * 3600_000; // milliseconds

const [model, folder, passes, rate, state] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];
const server = await Server.start(`--model=${resolve(model)}`);
const browser = await startBrowser(false);
try {
  const page = await newPage(browser);
  await page.goto(server.address);
  await said(page, "is ready");
  await page.getByLabel("Add folders").setInputFiles(resolve(folder));
  await said(page, /Added \d+ photos/);
  await page.getByText("Settings").click();
  await page.getByLabel("Passes over the photos").fill(passes);
  await page.getByLabel("Learning rate").fill(rate);
  const started = performance.now();
  await page.getByRole("button", { name: "Train", exact: true }).click();
  await said(page, /Done after \d+ steps/, HOURS);
  const seconds = (performance.now() - started) / 1000;
  const figures = async (name: string) =>
    (
      await page
        .getByRole("row", { name: new RegExp(`^${name}`) })
        .getByRole("cell")
        .allInnerTexts()
    ).map((text) => Number(/[\d.]+/.exec(text)?.[0]));
  const [right, loss] = [await figures("Right"), await figures("Loss")];
  const steps = Number(/\d+/.exec(await page.getByRole("status").innerText())?.[0]);
  const facts = await page
    .locator("#training-facts div")
    .evaluateAll((pairs) => pairs.map((pair) => [...pair.children].map((child) => child.textContent)));
  await saveState(page, resolve(state));
  const [before, after] = [0, 1].map((column) => ({ right: right[column], loss: loss[column] }));
  console.log(JSON.stringify({ before, after, steps, seconds, facts: Object.fromEntries(facts) as unknown }));
} finally {
  await browser.close();
  await server.stop();
}
