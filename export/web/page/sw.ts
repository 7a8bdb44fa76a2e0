/** The service worker: the page, its models and LiteRT are there without network once they were loaded. */

declare const VERSION: string;
declare const LITERT: string;
declare const SHELL: readonly string[];

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
    event.respondWith(/\/wasm\/[^/]*$/.test(url.pathname) ? fromCache(event) : fromNetwork(event));
  }
});

/** Megabytes that do not change within a version of LiteRT. */
async function fromCache(event: FetchEvent): Promise<Response> {
  const cache = await caches.open(RUNTIME);
  return (await cache.match(event.request)) ?? keep(cache, event, await fetch(event.request));
}

/** All else is as new as the server has it. */
async function fromNetwork(event: FetchEvent): Promise<Response> {
  const cache = await caches.open(PAGE);
  try {
    return keep(cache, event, await fetch(event.request));
  } catch (error) {
    const kept = await cache.match(event.request, { ignoreSearch: true });
    if (!kept) {
      throw error;
    }
    return kept;
  }
}

/** The page has the response while a copy of it is stored. */
function keep(cache: Cache, event: FetchEvent, response: Response): Response {
  if (response.ok) {
    event.waitUntil(cache.put(event.request, response.clone()));
  }
  return response;
}
