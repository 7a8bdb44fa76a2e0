/** The service worker: the page, its models and LiteRT are there without network once they were loaded. */

declare const VERSION: string;
declare const LITERT: string;
declare const SHELL: readonly string[];

interface FetchEvent extends Event {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}

interface ExtendableEvent extends Event {
  waitUntil(work: Promise<unknown>): void;
}

interface WorkerScope {
  addEventListener(type: "install" | "activate", listener: (event: ExtendableEvent) => void): void;
  addEventListener(type: "fetch", listener: (event: FetchEvent) => void): void;
  skipWaiting(): Promise<void>;
  readonly clients: { claim(): Promise<void> };
}

const scope = self as unknown as WorkerScope;
const PAGE = `tinytl-page-${VERSION}`;
const RUNTIME = `tinytl-litert-${LITERT}`;

scope.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(PAGE)
      .then((cache) => cache.addAll(SHELL as string[]))
      .then(() => scope.skipWaiting()),
  );
});

scope.addEventListener("activate", (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) =>
        Promise.all(
          names
            .filter((name) => name.startsWith("tinytl-") && name !== PAGE && name !== RUNTIME)
            .map((name) => caches.delete(name)),
        ),
      )
      .then(() => scope.clients.claim()),
  );
});

scope.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method === "GET" && url.origin === location.origin) {
    event.respondWith(/\/wasm\/[^/]*$/.test(url.pathname) ? fromCache(request) : fromNetwork(request));
  }
});

/** Megabytes that do not change within a version of LiteRT. */
async function fromCache(request: Request): Promise<Response> {
  const cache = await caches.open(RUNTIME);
  return (await cache.match(request)) ?? keep(cache, request, await fetch(request));
}

/** All else is as new as the server has it. */
async function fromNetwork(request: Request): Promise<Response> {
  const cache = await caches.open(PAGE);
  try {
    return await keep(cache, request, await fetch(request));
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true });
    if (!kept) {
      throw error;
    }
    return kept;
  }
}

async function keep(cache: Cache, request: Request, response: Response): Promise<Response> {
  if (response.ok) {
    await cache.put(request, response.clone());
  }
  return response;
}
