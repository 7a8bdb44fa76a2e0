import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { writeCameraVideo } from "./fake-camera.js";
import type * as tinytl from "../src/index.js";
import type { Server } from "./server.js";

/** The golden files of the repository. */
export const GOLDEN = resolve("../../golden");

/** Where screenshots go. */
export const SCREENSHOTS = "build/screenshots";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** The two kinds of screen that the page is tested on. */
export const SCREENS: Readonly<Record<string, BrowserContextOptions>> = {
  desktop: { viewport: { width: 1280, height: 900 } },
  phone: { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 },
};

/** Starts Chromium with a camera that shows a made video, or without one. */
export async function startBrowser(camera = true): Promise<Browser> {
  const args = ["--no-sandbox", "--disable-gpu"];
  if (camera) {
    const video = join(tmpdir(), `tinytl-camera-${process.pid}.y4m`);
    writeCameraVideo(video);
    args.push(
      "--use-fake-ui-for-media-stream",
      "--use-fake-device-for-media-stream",
      `--use-file-for-fake-video-capture=${video}`,
    );
  }
  return chromium.launch({ executablePath: process.env.CHROMIUM!, args });
}

/** Opens a page of its own storage; faults of its scripts fail the test. */
export async function newPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Page> {
  const page = await (await browser.newContext(options)).newPage();
  page.setDefaultTimeout(180_000);
  page.on("pageerror", (error) => {
    throw error;
  });
  return page;
}

/** Where `addPackage` puts the package. */
export interface PackageGlobal {
  readonly tinytl: typeof tinytl;
}

/** Loads the package `tinytl-web` into a page. */
export async function addPackage(page: { evaluate(source: string): Promise<unknown> }): Promise<void> {
  const { outputFiles } = await build({
    entryPoints: ["src/index.ts"],
    bundle: true,
    write: false,
    format: "iife",
    globalName: "tinytl",
    external: ["./local-engine.js"],
    logLevel: "error",
  });
  await page.evaluate(`${outputFiles[0]!.text}; globalThis.tinytl = tinytl;`);
}

/** Waits for an alert of the page. */
export async function alerted(page: Page, text: RegExp): Promise<void> {
  await page.getByRole("alert").filter({ hasText: text }).waitFor({ timeout: 180_000 });
}

/** Waits for a message of the page. */
export async function said(page: Page, text: string | RegExp, timeout = 180_000): Promise<void> {
  await page.getByRole("status").filter({ hasText: text }).waitFor({ timeout });
}

/** Shows a step where the page shows one at a time. */
export async function step(page: Page, name: "photos" | "train" | "try"): Promise<void> {
  const button = page.locator(`#steps [data-go=${name}]`);
  if (await button.isVisible()) {
    await button.click();
  }
}

/** Takes a picture of the whole page. */
export async function screenshot(page: Page, name: string): Promise<void> {
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: `${SCREENSHOTS}/${name}.png`, fullPage: true });
}

/** Serious findings of axe, as text. */
export async function axeFindings(page: Page): Promise<string[]> {
  await page.evaluate(readFileSync(AXE, "utf-8"));
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: typeof import("axe-core") };
    const { violations } = await axe.run();
    return violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
  });
}

/** Drops files and folders on the page, as a mouse does. */
export async function drop(
  page: Page,
  paths: readonly string[],
  { x, y } = { x: 100, y: 100 },
): Promise<void> {
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: [...paths], dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"] as const) {
    await session.send("Input.dispatchDragEvent", { type, x, y, data });
  }
  await session.detach();
}

/** Waits until the fake camera shows a scene. */
export async function waitForScene(page: Page, scene: "stripes" | "disk"): Promise<void> {
  await page.waitForFunction((wanted) => {
    const video = document.querySelector("video")!;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [8, 8];
    const context = canvas.getContext("2d")!;
    context.drawImage(video, 0, 0, 8, 8);
    const pixels = context.getImageData(0, 0, 8, 8).data;
    let difference = 0;
    for (let at = 0; at < pixels.length; at += 4) {
      difference += pixels[at]! - pixels[at + 2]!;
    }
    return wanted === "stripes" ? difference > 2000 : difference < -500;
  }, scene);
}

/** Opens the page with the golden photos in its classes. */
export async function openWithPhotos(context: BrowserContext, server: Server): Promise<Page> {
  const page = await context.newPage();
  await page.goto(server.address);
  await said(page, "is ready");
  await page.getByLabel("Add folders").setInputFiles(`${GOLDEN}/photos`);
  await said(page, /Added 12 photos/);
  return page;
}

/** All that the page has stored under a name: photos, or values by their keys. */
export async function stored(page: Page, store: "photos" | "values"): Promise<Record<string, unknown>> {
  return page.evaluate(async (name) => {
    const request = <T>(asked: IDBRequest<T>) =>
      new Promise<T>((resolve, reject) => {
        asked.onsuccess = () => {
          resolve(asked.result);
        };
        asked.onerror = () => {
          reject(new Error("no database"));
        };
      });
    const database = await request(indexedDB.open("tinytl-page"));
    const entries = database.transaction(name).objectStore(name);
    const [keys, values] = await Promise.all([request(entries.getAllKeys()), request(entries.getAll())]);
    database.close();
    return Object.fromEntries(keys.map((key, index) => [key as string, values[index] as unknown]));
  }, store);
}

/** Stores values by their keys and photos without digests, as an earlier version of the page did; loads it again. */
export async function storeAsBefore(
  page: Page,
  photos: readonly { readonly className: string; readonly name: string; readonly content: Buffer }[],
  values: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const files = photos.map(({ content, ...rest }) => ({ ...rest, base64: content.toString("base64") }));
  await page.evaluate(
    async ({ files, values }) => {
      const database = await new Promise<IDBDatabase>((resolve) => {
        const request = indexedDB.open("tinytl-page");
        request.onsuccess = () => {
          resolve(request.result);
        };
      });
      const transaction = database.transaction(["photos", "values"], "readwrite");
      files.forEach(({ className, name, base64 }, index) => {
        const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
        const id = `1600000000000-${String(index).padStart(6, "0")}`;
        transaction.objectStore("photos").put({ id, className, file: new File([bytes], name) }, id);
      });
      for (const [key, value] of Object.entries(values)) {
        transaction.objectStore("values").put(value, key);
      }
      await new Promise((resolve) => {
        transaction.oncomplete = resolve;
      });
      database.close();
    },
    { files, values },
  );
  await page.reload();
  await said(page, "is ready");
}

/** Downloads the state to `path`; returns what is in it. */
export async function saveState(page: Page, path: string): Promise<Buffer> {
  await step(page, "try");
  const waiting = page.waitForEvent("download");
  await page.getByRole("button", { name: "Save state" }).click();
  const download = await waiting;
  assert.match(download.suggestedFilename(), /^[\w.-]+\.tinytl$/);
  await download.saveAs(path);
  return readFileSync(path);
}

interface Evaluated {
  readonly images: number;
  readonly accuracy: number;
  readonly loss: number;
}

/** A mean over photos that Chromium has decoded differs from Python's by as much: 0.011 was measured for five photos. */
export const SAME_LOSS = 0.02;

/** What `tinytl evaluate` says of a model, with a state or as exported, on the test images of a data set. */
export function evaluate(model: string, data: string, state?: string): Evaluated {
  const json = join(mkdtempSync(join(tmpdir(), "tinytl-evaluate-")), "result.json");
  const flags = [`--model=${model}`, `--data=${data}`, ...(state === undefined ? [] : [`--state=${state}`])];
  execFileSync(process.env.PYTHON!, ["-m", "tinytl_tf.cli.main", "evaluate", ...flags, `--json=${json}`], {
    stdio: "pipe",
  });
  return JSON.parse(readFileSync(json, "utf-8")) as Evaluated;
}
