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
    return "This page works offline only over https or on localhost.";
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
      ? "This page now works offline."
      : "This page will work offline after you reload it.";
  } catch {
    return "This browser does not store the page, so it needs its server each time.";
  }
}
