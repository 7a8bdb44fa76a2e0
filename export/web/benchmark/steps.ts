/**
 * Bytes that a browser loads of the page, and time of its training steps.
 *
 *     node scripts/benchmark.mjs steps MODEL.tflite STEPS
 *
 * Prints `requests` (path and bytes, as the server sends them to other machines), `ready_ms` from the address to a page
 * that can train, `runtime_ms` to start LiteRT in a worker, `first_step_ms` to load the model and take a step,
 * `step_ms_median` of the further ones, and `heap_bytes` of LiteRT's memory after them.
 */
import { get } from "node:http";
import { resolve } from "node:path";
import { chromium } from "playwright-core";
import type { Page } from "playwright-core";
import { addPackage, newPage, said } from "../browser-test/browser.js";
import type { PackageGlobal } from "../browser-test/browser.js";
import { Server } from "../browser-test/server.js";

const [model, steps] = [resolve(process.argv[2]!), Number(process.argv[3])];
// On all addresses the server compresses responses.
const server = await Server.start(`--model=${model}`, "--host=0.0.0.0");
const address = `http://127.0.0.1:${new URL(server.address).port}/`;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM!,
  args: ["--no-sandbox", "--disable-gpu"],
});
try {
  const page = await newPage(browser, { serviceWorkers: "block" });
  const loaded = new Set<string>();
  page.context().on("request", (request) => {
    if (request.url().startsWith(address)) {
      loaded.add(request.url());
    }
  });
  const started = performance.now();
  await page.goto(address);
  await said(page, "is ready");
  const readyMs = performance.now() - started;
  const requests = await Promise.all([...loaded].map(bytesOf));
  await addPackage(page);
  console.log(JSON.stringify({ requests, ready_ms: readyMs, ...(await timeSteps(page, steps)) }));
} finally {
  await browser.close();
  await server.stop();
}

/** Bytes of a body with compression, and without it. */
async function bytesOf(url: string): Promise<{ path: string; packed: number; plain: number }> {
  const [packed, plain] = [await received(url, "gzip"), await received(url, "identity")];
  return { path: new URL(url).pathname, packed, plain };
}

function received(url: string, encoding: string): Promise<number> {
  return new Promise((done, failed) => {
    const asked = get(url, { headers: { "Accept-Encoding": encoding } }, (response) => {
      let bytes = 0;
      response.on("data", (part: Buffer) => (bytes += part.length));
      response.on("end", () => {
        done(bytes);
      });
      response.on("error", failed);
    });
    asked.on("error", failed);
  });
}

/** Steps on random pixels with a small rate, as `tinytl memory --account=measured` takes them. */
async function timeSteps(page: Page, count: number) {
  return page.evaluate(async (count) => {
    const { TrainableModel, WorkerEngine } = (globalThis as unknown as PackageGlobal).tinytl;
    const file = await (await fetch("model/model.tflite")).arrayBuffer();
    const manifest = await (await fetch("model/model.manifest.json")).text();
    const times = [performance.now()];
    const engine = await WorkerEngine.start(
      { wasm: new URL("wasm/", location.href).href, threads: false },
      new URL("worker.js", location.href),
    );
    times.push(performance.now());
    const model = await TrainableModel.load(file, manifest, { engine });
    const [height, width] = model.imageSize;
    const images = new Uint8Array(model.batchSize * height * width * 3).map(() => Math.random() * 256);
    const labels = Array.from({ length: model.batchSize }, (_, index) => index % model.numClasses);
    for (let step = 0; step <= count; step++) {
      await model.train(images, labels, 1e-3);
      times.push(performance.now());
    }
    const heap = await model.heapBytes();
    await model.delete();
    const [runtime, first, ...further] = times.slice(1).map((time, index) => time - times[index]!);
    further.sort((one, other) => one - other);
    return {
      runtime_ms: runtime!,
      first_step_ms: first!,
      step_ms_median: further[further.length >> 1]!,
      heap_bytes: heap,
    };
  }, count);
}
