import { InputError, reason } from "./errors.js";
import type { ProgressStore, TrainingProgress } from "./progress-store.js";

const STORE = "progress";

/** Stores progress in IndexedDB, so that a training can be resumed after its tab was closed. */
export class IndexedDbStore implements ProgressStore {
  /**
   * @param key Identifies the training.
   * @param database Name of the database.
   */
  constructor(
    private readonly key: string,
    private readonly database = "tinytl-training",
  ) {}

  read(): Promise<TrainingProgress | undefined> {
    return this.#with("readonly", (store) => store.get(this.key) as IDBRequest<TrainingProgress | undefined>);
  }

  async write(progress: TrainingProgress): Promise<void> {
    await this.#with("readwrite", (store) => store.put(progress, this.key));
  }

  async remove(): Promise<void> {
    await this.#with("readwrite", (store) => store.delete(this.key));
  }

  /**
   * Runs `work` while it holds a Web Lock. Without Web Locks (http from another host) other tabs are not locked out.
   */
  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    const locks = (globalThis.navigator as { locks?: LockManager } | undefined)?.locks;
    if (!locks) {
      return work();
    }
    const name = `${this.database}/${this.key}`;
    return await locks.request(name, { ifAvailable: true }, (lock): Promise<T> => {
      if (!lock) {
        throw new InputError(
          "expected no other training of this model in this browser, found one; wait until it ends, or stop it",
        );
      }
      return work();
    });
  }

  async #with<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    try {
      const database = await this.#open();
      try {
        const transaction = database.transaction(STORE, mode);
        const request = work(transaction.objectStore(STORE));
        await new Promise<void>((resolve, reject) => {
          transaction.oncomplete = () => {
            resolve();
          };
          transaction.onabort = () => {
            reject(transaction.error ?? new Error("the browser has aborted it"));
          };
        });
        return request.result;
      } finally {
        database.close();
      }
    } catch (error) {
      throw new InputError(
        `cannot store the training in this browser: ${reason(error)}; free some space, or use a normal window if ` +
          "this one is private",
      );
    }
  }

  #open(): Promise<IDBDatabase> {
    return new Promise((resolve, reject) => {
      const request = indexedDB.open(this.database, 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore(STORE);
      };
      request.onsuccess = () => {
        resolve(request.result);
      };
      request.onerror = () => {
        reject(request.error ?? new Error("the database cannot be opened"));
      };
    });
  }
}
