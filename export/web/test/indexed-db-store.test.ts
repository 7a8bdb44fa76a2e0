import assert from "node:assert/strict";
import { test } from "node:test";
import { IndexedDbStore } from "../src/indexed-db-store.js";

test("two trainings of one store: the second is refused at once", async (context) => {
  const held = new Set<string>();
  /** Web Locks of a browser, of which Node 20 has none. */
  const locks = {
    async request(name: string, options: LockOptions, work: (lock: unknown) => Promise<unknown>) {
      assert.equal(options.ifAvailable, true);
      if (held.has(name)) {
        return work(null);
      }
      held.add(name);
      try {
        return await work({ name });
      } finally {
        held.delete(name);
      }
    },
  };
  const former = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  Object.defineProperty(globalThis, "navigator", { value: { locks }, configurable: true });
  context.after(() => {
    Object.defineProperty(globalThis, "navigator", former ?? { value: undefined, configurable: true });
  });
  let end: () => void = () => undefined;
  const first = new IndexedDbStore("roses").exclusively(
    () =>
      new Promise<string>((resolve) => {
        end = () => {
          resolve("first");
        };
      }),
  );
  const second = () => new IndexedDbStore("roses").exclusively(() => Promise.resolve("second"));
  await assert.rejects(second(), {
    name: "InputError",
    message: /expected no other training of this model in this browser, found one; wait until it ends/,
  });
  assert.equal(await new IndexedDbStore("tulips").exclusively(() => Promise.resolve("other")), "other");
  end();
  assert.equal(await first, "first");
  assert.equal(await second(), "second");
  Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true });
  assert.equal(await second(), "second");
});
