const NAME = "tinytl-page";
const PATIENCE = 1000; // milliseconds until a tab that is loaded again has let go

/**
 * Takes the page's data for this tab until it is closed.
 *
 * Without Web Locks (on a page of another machine over http) tabs are not distinguished.
 *
 * @param freed Called when the other tab lets go, if one has the data.
 * @returns Whether this tab may change them; otherwise another tab of this browser has them.
 */
export function takeData(freed: () => void): Promise<boolean> {
  const locks = (navigator as { locks?: LockManager }).locks;
  if (!locks) {
    return Promise.resolve(true);
  }
  return new Promise((resolve) => {
    let waiting = true;
    const timer = setTimeout(() => {
      waiting = false;
      resolve(false);
    }, PATIENCE);
    void locks.request(NAME, () => {
      clearTimeout(timer);
      if (!waiting) {
        freed(); // and left to the next tab: this one may be out of date
        return undefined;
      }
      resolve(true);
      return new Promise(() => undefined); // held until the tab is closed
    });
  });
}
