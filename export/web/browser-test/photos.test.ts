import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import {
  alerted,
  axeFindings,
  GOLDEN,
  newPage,
  said,
  saveState,
  screenshot,
  startBrowser,
  stored,
  storeAsBefore,
} from "./browser.js";
import { Server } from "./server.js";

const file = (name: string) => `${GOLDEN}/photos/${name}`;
const digest = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
// By the rule of docs/formats.md with the seed 0; `held` is in the order of the classes.
const TRAINED = {
  stripes: [file("stripes/small.png"), file("stripes/turned_6.jpg")],
  disk: [file("disk/gray_8.jpg"), file("disk/large_3.jpg")],
} as const;
const HELD = {
  stripes: [file("stripes/plain.jpg")],
  disk: [file("disk/transparent.png")],
  leaf: [file("leaf/large.png"), file("leaf/turned_7.png")],
} as const;

describe("photos of a person", () => {
  const folder = mkdtempSync(join(tmpdir(), "tinytl-photos-"));
  const train = () => page.getByRole("button", { name: "Train", exact: true }).click();
  const trained = async () => new Set((await stored(page, "values")).trained as string[]);
  let server: Server;
  let browser: Browser;
  let page: Page;
  before(async () => {
    server = await Server.start(`--model=${GOLDEN}/model_float32.tflite`);
    browser = await startBrowser(false);
  });
  beforeEach(async () => {
    page = await newPage(browser);
    await page.goto(server.address);
    await said(page, "is ready");
  });
  afterEach(() => page.context().close());
  after(async () => {
    await browser.close();
    await server.stop();
  });

  async function add(name: string, paths: readonly string[]): Promise<void> {
    await page.getByLabel(`Add photos… to ${name}`).setInputFiles([...paths]);
    await said(page, new RegExp(`^Added \\d+ photos? to ${name}\\.`));
  }

  async function passes(count: number): Promise<void> {
    if (!(await page.getByLabel("Passes over the photos").isVisible())) {
      await page.getByText("Settings").click();
    }
    await page.getByLabel("Passes over the photos").fill(String(count));
  }

  test("that cannot be read are named when they are added, and left out", async () => {
    const jpeg = readFileSync(file("stripes/plain.jpg"));
    const broken = Object.entries({
      "cut.jpg": jpeg.subarray(0, 200),
      "text.jpg": Buffer.from("no photo"),
      "empty.jpg": Buffer.alloc(0),
      "phone.heic": Buffer.from("\0\0\0\x18ftypheic", "latin1"),
    }).map(([name, content]) => {
      writeFileSync(join(folder, name), content);
      return join(folder, name);
    });
    await page
      .getByLabel("Add photos… to stripes")
      .setInputFiles([...broken.slice(0, 3), ...TRAINED.stripes]);
    await said(
      page,
      /^Added 2 photos to stripes. Left out 3, which this browser cannot read: cut.jpg, empty.jpg, text.jpg.$/,
    );
    // A browser gives .heic no type of its own everywhere: it is no photo, or one that cannot be read.
    await page.getByLabel("Add photos… to disk").setInputFiles(broken.slice(0, 1));
    await said(page, "Added 0 photos to disk. Left out 1, which this browser cannot read: cut.jpg.");
    await add("disk", TRAINED.disk);
    assert.deepEqual(await page.locator(".count").allInnerTexts(), ["2 photos", "2 photos"]);
    assert.equal(Object.keys(await stored(page, "photos")).length, 4);
    await train();
    await said(page, /^Done after 20 steps/);
  });

  test("that an earlier version has stored and that cannot be read do not block training", async () => {
    const good = [...TRAINED.stripes, ...TRAINED.disk, ...HELD.disk];
    const many = Array.from({ length: 6 }, () => good).flat();
    await storeAsBefore(page, [
      { className: "stripes", name: "cut.jpg", content: readFileSync(good[1]!).subarray(0, 300) },
      ...many.map((path) => ({
        className: path.includes("stripes") ? "stripes" : "disk",
        name: basename(path),
        content: readFileSync(path),
      })),
    ]);
    await passes(1);
    await train();
    await said(page, /^Done after 6 steps: .* Left out, since it cannot be read: cut.jpg \(stripes\)\.$/);
    // It is the oldest of its class, but is shown.
    await page.getByText("Left out, since this browser cannot read it: cut.jpg.").waitFor();
    await screenshot(page, "unreadable");
    assert.deepEqual(await axeFindings(page), []);
    assert.equal(await page.locator(".count").first().innerText(), "13 photos");
    await page
      .getByRole("button", { name: "Remove photo 1 of stripes cut.jpg, which cannot be read" })
      .click();
    assert.equal(await page.locator(".count").first().innerText(), "12 photos");
    assert.equal(await page.getByText("Left out, since this browser").isVisible(), false);
    await page.reload();
    await said(page, "is ready");
    assert.equal(await page.locator(".count").first().innerText(), "12 photos");
    const digests = Object.values(await stored(page, "photos")).map(
      (photo) => (photo as { digest: string }).digest,
    );
    assert.deepEqual(new Set(digests), new Set(good.map(digest)));
  });

  test("that cannot be read, and no others: nothing is trained", async () => {
    await storeAsBefore(
      page,
      ["stripes", "disk"].flatMap((className) =>
        ["a.jpg", "b.jpg"].map((name) => ({ className, name, content: Buffer.from("no photo") })),
      ),
    );
    await train();
    await alerted(
      page,
      /Too few photos: .* This browser cannot read a.jpg \(stripes\), b.jpg \(stripes\), a.jpg/,
    );
    assert.ok(await page.getByRole("button", { name: "Train", exact: true }).isDisabled());
  });

  test("can all be seen", async () => {
    const paths = Array.from({ length: 40 }, (_, index) => {
      const path = join(folder, `copy-${index}.png`);
      writeFileSync(path, readFileSync(file("stripes/small.png")));
      return path;
    });
    await add("stripes", paths);
    const thumbnails = page.locator(".class").first().locator(".thumbnails li");
    assert.equal(await thumbnails.count(), 12);
    await page.getByRole("button", { name: "Show all 40 photos" }).click();
    assert.equal(await thumbnails.count(), 40);
    await page.getByRole("button", { name: "Remove photo 1 of stripes", exact: true }).click();
    await page.getByRole("button", { name: "Show fewer" }).click();
    assert.equal(await thumbnails.count(), 12);
    await page.getByRole("button", { name: "Show all 39 photos" }).waitFor();
  });

  test("of a class that is removed come back", async () => {
    await add("stripes", TRAINED.stripes);
    await page.getByRole("button", { name: "Add a class" }).click();
    await page.getByRole("button", { name: "Remove class stripes" }).click();
    await said(page, "Removed the class stripes.");
    assert.deepEqual(await stored(page, "photos"), {});
    await screenshot(page, "removed");
    await page.getByRole("button", { name: "Undo: bring back the class stripes (2 photos)" }).click();
    await said(page, "Brought back the class stripes (2 photos).");
    assert.equal(await page.locator(".thumbnails img").count(), 2);
    await page.getByRole("button", { name: "Remove photo 2 of stripes" }).click();
    await page.getByRole("button", { name: "Undo: bring back a photo of stripes" }).click();
    await page.reload();
    await said(page, "is ready");
    assert.deepEqual(await page.locator(".count").allInnerTexts(), ["2 photos", "0 photos", "0 photos"]);
    assert.equal(await page.locator("#undo-remove").isVisible(), false);
  });

  test("of a class that is missing in the list are not lost", async () => {
    const content = readFileSync(TRAINED.stripes[0]);
    await storeAsBefore(page, [{ className: "anna", name: "a.png", content }]);
    const names = await page
      .getByLabel(/^Name of class/)
      .evaluateAll((inputs) => inputs.map((input) => (input as HTMLInputElement).value));
    assert.ok(names.includes("anna"), names.join());
  });

  test("are stored, or deleted, when the page says so", async () => {
    // Collects the messages that are shown while a write has not ended.
    await page.evaluate(() => {
      const global = globalThis as unknown as { early: string[] };
      let running = 0;
      const stores = IDBDatabase.prototype;
      // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its database below
      const begin = stores.transaction;
      stores.transaction = function (...words) {
        const transaction = begin.apply(this, words);
        if (words[1] === "readwrite") {
          running++;
          for (const end of ["complete", "abort"]) {
            transaction.addEventListener(end, () => running--);
          }
        }
        return transaction;
      };
      const status = document.getElementById("status")!;
      global.early = [];
      new MutationObserver(() => {
        if (running > 0) {
          global.early.push(status.textContent);
        }
      }).observe(status, { childList: true });
    });
    const early = () => page.evaluate(() => (globalThis as unknown as { early: string[] }).early);
    await add("stripes", TRAINED.stripes);
    await page.getByLabel("Add folders").setInputFiles(`${GOLDEN}/photos`);
    await said(page, /^Added 12 photos/);
    await page.getByRole("button", { name: "Remove photo 2 of stripes" }).click();
    await said(page, "Removed a photo");
    await page.getByRole("button", { name: "Undo: bring back" }).click();
    await said(page, "Brought back");
    await page.getByRole("button", { name: "Remove class disk" }).click();
    await said(page, "Removed the class");
    await page.locator("#forget").click();
    await page.locator("#forget").click();
    await said(page, "All photos are deleted");
    assert.deepEqual(await early(), []);
  });

  test("that were trained on are never held out, and the other way round", async () => {
    await add("stripes", [...TRAINED.stripes, ...HELD.stripes]);
    await add("disk", [...TRAINED.disk, ...HELD.disk]);
    await passes(1);
    await train();
    await said(page, /^Done after 1 steps: \d+ % of the held-out photos are right/);
    const first = await trained();
    assert.deepEqual(first, new Set([...TRAINED.stripes, ...TRAINED.disk].map(digest)));
    assert.match(await page.locator("#recall").innerText(), /stripes\s+[01] of 1\s+disk\s+[01] of 1/);

    await page.getByRole("button", { name: "Remove class disk" }).waitFor();
    await add("disk", HELD.leaf); // more photos, of which two are held out
    await train();
    await said(page, /^Done after 1 steps: /);
    assert.deepEqual(await trained(), first);
    assert.match(await page.locator("#recall").innerText(), /stripes\s+[01] of 1\s+disk\s+[0-3] of 3/);

    // Deleted, added to other classes, loaded again: what was seen stays seen.
    await page.locator("#forget").click();
    await page.locator("#forget").click();
    await said(page, "All photos are deleted");
    await page.reload();
    await said(page, "is ready");
    await add("stripes", [...TRAINED.disk, ...HELD.disk]);
    await add("disk", [...TRAINED.stripes, ...HELD.stripes]);
    await passes(1);
    await train();
    await said(page, /^Done after 1 steps: /);
    assert.deepEqual(await trained(), first);
  });

  test("of a class that are all held out are trained on, and that is said", async () => {
    await add("stripes", [...TRAINED.stripes, ...HELD.stripes]);
    await page.getByLabel("Name of class 2").fill("leaf");
    await page.getByLabel("Name of class 2").press("Tab");
    await add("leaf", HELD.leaf);
    await passes(1);
    await train();
    await said(page, /^Done after 1 steps: .* No photo is held out of leaf\.$/);
    assert.match(await page.locator("#recall").innerText(), /leaf\s+none held out/);
    assert.deepEqual(await trained(), new Set([...TRAINED.stripes, ...HELD.leaf].map(digest)));
    // With photos that are not held out beside them they stay where they were.
    await add("leaf", [file("leaf/cmyk_5.jpg")]);
    await train();
    await said(page, /^Done after 1 steps: .* No photo is held out of leaf\.$/);
  });

  test("of which none is held out give no figures", async () => {
    await add("stripes", TRAINED.stripes);
    await add("disk", TRAINED.disk);
    await passes(2);
    await train();
    await said(page, /^Done after 2 steps\. Nothing is held out: add photos/);
    assert.equal(await page.locator("#compare-box").isVisible(), false);
  });

  test("of an earlier version of the page count as trained on, if it has trained", async () => {
    const photos = [...TRAINED.stripes, ...HELD.stripes, ...TRAINED.disk, ...HELD.disk].map((path) => ({
      className: path.includes("stripes") ? "stripes" : "disk",
      name: basename(path),
      content: readFileSync(path),
    }));
    await storeAsBefore(page, photos, { learned: { sha256: "of another model", state: new Uint8Array() } });
    await passes(1);
    await train();
    await said(page, /Nothing is held out/);
    assert.equal((await trained()).size, 6);
  });

  test("a training that diverges leaves the model as it was", async () => {
    await add("stripes", [...TRAINED.stripes, ...HELD.stripes]);
    await add("disk", [...TRAINED.disk, ...HELD.disk]);
    await passes(3);
    await train();
    await said(page, /^Done after 3 steps/);
    const learned = await saveState(page, join(folder, "learned.tinytl"));
    await page.getByLabel("Learning rate").fill("1e20");
    await train();
    await alerted(
      page,
      /the training has diverged: .*lower the learning rate, .*here it is as it was before/i,
    );
    await screenshot(page, "diverged");
    assert.deepEqual(await saveState(page, join(folder, "kept.tinytl")), learned);
    await page.reload();
    await said(page, "is ready");
    assert.deepEqual(await saveState(page, join(folder, "stored.tinytl")), learned);
    assert.equal(await page.getByText("A training was stopped").isVisible(), false);
  });

  test("a training is resumed with the same ones only", async () => {
    await add("stripes", [...TRAINED.stripes, ...HELD.stripes]);
    await add("disk", TRAINED.disk);
    await passes(900);
    await train();
    await page.getByText(/^Step [3-9]\d of 900$/).waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await said(page, "Stopped.");
    // As many photos, in the same class.
    await page.getByRole("button", { name: "Remove photo 2 of disk" }).click();
    await add("disk", [file("cross/palette.png")]);
    await page.getByRole("button", { name: "Continue" }).click();
    await alerted(page, /cannot resume: the photos to train on .* changed since the training was stopped/i);
    await page.getByRole("button", { name: "Remove photo 2 of disk" }).click();
    await page.getByLabel("Add photos… to disk").setInputFiles(TRAINED.disk[1]);
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByText(/^Step 1?\d\d of 900$/).waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await said(page, "Stopped.");
  });
});
