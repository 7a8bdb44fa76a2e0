const PATIENCE = 3000; // milliseconds

/**
 * Registers the service worker, which keeps the page for the next time.
 *
 * Waits for the page's own requests: on a first visit it would miss the model and the runtime.
 *
 * @returns The page's text about it.
 */
export async function keepForOffline(): Promise<string> {
  const container = (navigator as { serviceWorker?: ServiceWorkerContainer }).serviceWorker;
  if (!container) {
    return "This page works without network only where it comes from https or localhost.";
  }
  try {
    await container.register("sw.js");
    if (!container.controller) {
      await Promise.race([
        new Promise((resolve) => {
          container.addEventListener("controllerchange", resolve, { once: true });
        }),
        new Promise((resolve) => setTimeout(resolve, PATIENCE)),
      ]);
    }
    return container.controller
      ? "Loaded once, this page works without network."
      : "This page will work without network after it was loaded again.";
  } catch {
    return "This browser does not keep the page: it needs its server each time.";
  }
}
