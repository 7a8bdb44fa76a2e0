import assert from "node:assert/strict";
import { createServer, request } from "node:http";
import type { IncomingMessage, Server as HttpServer, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { newPage, said, startBrowser } from "./browser.js";
import { Server } from "./server.js";

const HTML = { "Content-Type": "text/html" };

/** Where `tinytl serve` was, another program or nothing can be: a port on which a test decides who answers. */
class Port {
  /** Answers a request, or nobody does. */
  answer: ((asked: IncomingMessage, response: ServerResponse) => void) | undefined;
  /** What was asked for. */
  readonly paths: string[] = [];
  readonly #server: HttpServer;

  constructor() {
    this.#server = createServer((asked, response) => {
      this.paths.push(asked.url!);
      if (this.answer) {
        this.answer(asked, response);
      } else {
        response.destroy();
      }
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://localhost:${(this.#server.address() as AddressInfo).port}/`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Passes requests on to `tinytl serve`. */
function ours(server: Server, extra: Record<string, string> = {}) {
  return (asked: IncomingMessage, response: ServerResponse) => {
    const { pathname } = new URL(asked.url!, server.address);
    const headers = { ...asked.headers, host: new URL(server.address).host };
    const passed = request(new URL(asked.url!, server.address), { headers }, (answer) => {
      const changed = pathname in extra ? { "cache-control": extra[pathname]! } : {};
      response.writeHead(answer.statusCode!, { ...answer.headers, ...changed });
      answer.pipe(response);
    });
    passed.on("error", () => response.destroy());
    passed.end();
  };
}

describe("the service worker", () => {
  const port = new Port();
  let address: string;
  let server: Server;
  let browser: Browser;
  let page: Page;
  before(async () => {
    address = await port.listen();
    server = await Server.start();
    browser = await startBrowser(false);
  });
  after(async () => {
    await browser.close();
    await server.stop();
    await port.close();
  });

  const get = (path: string) =>
    page.evaluate(
      (asked) =>
        fetch(asked, { cache: "no-store" })
          .then((response) => response.text())
          .catch(() => "no answer"),
      path,
    );
  const cached = () =>
    page.evaluate(async () => {
      const paths: string[] = [];
      for (const name of await caches.keys()) {
        paths.push(...(await (await caches.open(name)).keys()).map(({ url }) => new URL(url).pathname));
      }
      return paths.sort();
    });

  /** Waits until a question to the page, which it may need time for, has the answer. */
  async function becomes<T>(question: () => Promise<T>, expected: T): Promise<void> {
    const end = performance.now() + 30_000;
    let answer = await question();
    while (answer !== expected && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      answer = await question();
    }
    assert.equal(answer, expected);
  }

  /** Waits until nothing of the page is in the browser. */
  async function left(): Promise<void> {
    await becomes(
      () => page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length),
      0,
    );
    await becomes(() => page.evaluate(async () => (await caches.keys()).length), 0);
  }

  async function visit(): Promise<void> {
    await page.goto(address);
    await said(page, "is ready");
    await page.getByText("This page now works offline.").waitFor();
  }

  test("keeps the page and what it loads, but no answer that must not be stored", async () => {
    page = await newPage(browser);
    port.answer = ours(server, { "/icon.svg": "no-store", "/general.manifest.json": "no-cache, no-store" });
    await visit();
    await becomes(async () => (await cached()).includes("/wasm/litert_wasm_internal.wasm"), true);
    await get("/general.manifest.json");
    await get("/other");
    const paths = await cached();
    for (const path of ["/", "/app.js", "/worker.js", "/models.json", "/general.tflite"]) {
      assert.ok(paths.includes(path), `${path} of ${paths.join()}`);
    }
    assert.ok(!paths.includes("/general.manifest.json"));
    assert.ok(!paths.includes("/icon.svg"));
    assert.ok(!paths.includes("/other"));
    await page.context().close();
  });

  test("says nothing for other addresses", async () => {
    page = await newPage(browser);
    port.answer = ours(server);
    await visit();
    port.answer = undefined;
    for (const path of ["/api/secret", "/wasm/app.wasm", "/wasm/", "/sub/app.js", "/models.json/"]) {
      assert.equal(await get(path), "no answer");
    }
    assert.match(await get("/models.json"), /general/);
    assert.match(await get("/models.json?x"), /general/);
  });

  test("has the page while there is no server, or one that has failed", async () => {
    await page.reload();
    await said(page, "is ready");
    port.answer = (_, response) => {
      response.writeHead(502).end("bad gateway");
    };
    assert.equal(await get("/models.json"), "bad gateway");
    port.answer = undefined;
    await page.reload();
    await said(page, "is ready");
  });

  test("has what is new on the server", async () => {
    port.answer = (asked, response) => {
      if (asked.url === "/wasm/litert_wasm_internal.js") {
        response
          .writeHead(200, { "TinyTL-Page": "1", ETag: '"new"', "Cache-Control": "no-cache" })
          .end("new");
      } else {
        ours(server)(asked, response);
      }
    };
    assert.equal(await get("/wasm/litert_wasm_internal.js"), "new");
    port.answer = undefined;
    await becomes(() => get("/wasm/litert_wasm_internal.js"), "new");
  });

  test("leaves when another program answers in its server's place, with all that was stored", async () => {
    let version = 1;
    port.answer = (asked, response) => {
      const answers: Record<string, string> = {
        "/": "<!doctype html><title>another program</title>",
        "/app.js": `version ${version}`,
        "/wasm/litert_wasm_internal.wasm": `version ${version}`,
        "/api/secret": "salary 1234",
      };
      const body = answers[asked.url!];
      const type = asked.url === "/" ? "text/html" : "text/plain";
      response.writeHead(body ? 200 : 404, { "Content-Type": type, "Cache-Control": "no-store" }).end(body);
    };
    await page.goto(address);
    assert.equal(await page.title(), "another program");
    await left();
    for (const path of ["/app.js", "/wasm/litert_wasm_internal.wasm"]) {
      version = 1;
      assert.equal(await get(path), "version 1");
      version = 2;
      assert.equal(await get(path), "version 2");
    }
    assert.equal(await get("/api/secret"), "salary 1234");
    assert.deepEqual(await cached(), []);
    port.answer = undefined;
    for (const path of ["/app.js", "/api/secret", "/wasm/litert_wasm_internal.wasm"]) {
      assert.equal(await get(path), "no answer");
    }
    await assert.rejects(page.goto(address), /ERR_EMPTY_RESPONSE|ERR_CONNECTION/);
  });

  for (const [what, answer] of Object.entries({
    "that sends one elsewhere": (response: ServerResponse) =>
      response.writeHead(302, { Location: "/login" }).end(),
    "that has no such page": (response: ServerResponse) => response.writeHead(404, HTML).end("<p>none"),
    "that asks who one is": (response: ServerResponse) => response.writeHead(401, HTML).end("<p>who?"),
  })) {
    test(`leaves for a program ${what}`, async () => {
      await page.context().close();
      page = await newPage(browser);
      port.answer = ours(server);
      await visit();
      port.answer = (asked, response) => {
        if (asked.url === "/login") {
          response.writeHead(200, HTML).end("<title>log in</title>");
        } else {
          answer(response);
        }
      };
      await page.goto(address);
      await left();
    });
  }
});
