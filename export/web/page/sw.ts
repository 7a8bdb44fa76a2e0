/**
 * The service worker: once loaded, the page, its models and LiteRT are available offline.
 *
 * It touches only the addresses of the page below its own path. Responses of other programs are not stored, and end it:
 * such a program may have taken the port of `tinytl serve`.
 */

declare const VERSION: string;
declare const LITERT: string;
/** Files of the page itself. */
declare const SHELL: readonly string[];
/** Models and files of LiteRT. */
declare const LOADED: readonly string[];

interface ExtendableEvent extends Event {
  waitUntil(work: Promise<unknown>): void;
}

interface FetchEvent extends ExtendableEvent {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}

interface WorkerScope {
  addEventListener(type: "install" | "activate", listener: (event: ExtendableEvent) => void): void;
  addEventListener(type: "fetch", listener: (event: FetchEvent) => void): void;
  skipWaiting(): Promise<void>;
  readonly clients: { claim(): Promise<void> };
  readonly registration: { unregister(): Promise<boolean> };
}

const scope = self as unknown as WorkerScope;
/** Header of all responses of `tinytl serve`. */
const MARK = "TinyTL-Page";
const OWN = new Set([...SHELL, ...LOADED].map(pathOf));
const PREFIX = `tinytl ${pathOf("./")} `;
const PAGE = `${PREFIX}page ${VERSION}`;
const RUNTIME = `${PREFIX}litert ${LITERT}`;
/** Caches of an earlier version of the page. */
const FORMER = /^tinytl-(page|litert)-[\da-f.]+$/;

scope.addEventListener("install", (event) => {
  event.waitUntil(Promise.all(SHELL.map(store)).then(() => scope.skipWaiting()));
});

scope.addEventListener("activate", (event) => {
  event.waitUntil(
    deleteCaches((name) => name !== PAGE && name !== RUNTIME).then(() => scope.clients.claim()),
  );
});

scope.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  const { origin, pathname } = new URL(url);
  if (method === "GET" && origin === location.origin && OWN.has(pathname)) {
    event.respondWith(answer(event, pathname));
  }
});

/** Network first: stored responses are only for times without a server. */
async function answer(event: FetchEvent, path: string): Promise<Response> {
  const cacheName = path.startsWith(pathOf("wasm/")) ? RUNTIME : PAGE;
  let response: Response;
  try {
    response = await fetch(event.request);
  } catch (error) {
    const kept = await caches.match(path, { cacheName });
    if (!kept) {
      throw error;
    }
    return kept;
  }
  if (response.headers.has(MARK)) {
    event.waitUntil(keep(cacheName, path, response.clone()));
  } else if (response.status < 500) {
    event.waitUntil(leave());
  }
  return response;
}

/** Fetches a file of the page and stores it. */
async function store(name: string): Promise<void> {
  const response = await fetch(name);
  if (!response.ok || !response.headers.has(MARK)) {
    throw new Error(`expected ${name} of the page, got status ${response.status}`);
  }
  await keep(PAGE, pathOf(name), response);
}

/** Stores an answer unless it is stored already or must not be. */
async function keep(cacheName: string, path: string, response: Response): Promise<void> {
  const { headers, ok } = response;
  const kept = await caches.match(path, { cacheName });
  const isKept = headers.has("ETag") && kept?.headers.get("ETag") === headers.get("ETag");
  if (isKept || !ok || /\bno-store\b/i.test(headers.get("Cache-Control") ?? "")) {
    await response.body?.cancel();
  } else {
    await (await caches.open(cacheName)).put(path, response);
  }
}

/** The server is another program: nothing of the page stays with it. A worker that is unregistered may end at once. */
async function leave(): Promise<void> {
  await deleteCaches(() => true);
  await scope.registration.unregister();
}

async function deleteCaches(which: (name: string) => boolean): Promise<void> {
  const own = (await caches.keys()).filter((name) => name.startsWith(PREFIX) || FORMER.test(name));
  await Promise.all(own.filter(which).map((name) => caches.delete(name)));
}

function pathOf(name: string): string {
  return new URL(name, location.href).pathname;
}
