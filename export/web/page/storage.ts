import { reason } from "../src/errors.js";

const DATABASE = "tinytl-page";
const STORES = ["photos", "values"] as const;
type Store = (typeof STORES)[number];

/** A photo as it is stored. */
export interface StoredPhoto {
  readonly id: string;
  readonly className: string;
  readonly file: Blob;
  /** Result of `photoId` for the file; an earlier version of the page did not store it. */
  readonly digest?: string | undefined;
}

/** Other stored values, by key. */
export interface StoredValues {
  /** Which model was open: one of the list by its name, or files of one's own. */
  model: { readonly name: string; readonly files?: { readonly model: Blob; readonly manifest: string } };
  /** SHA-256 of the model that the outputs of `classes` are for; an earlier version of the page did not store it. */
  classesOf: string;
  /** Names of the classes by the model's output. */
  classes: readonly { readonly output: number; readonly name: string }[];
  settings: { readonly epochs: number; readonly learningRate: number };
  /** The last learned state, with its model. */
  learned: { readonly sha256: string; readonly state: Uint8Array<ArrayBuffer> };
  /** Digests of all photos that a training has used. */
  trained: readonly string[];
}

/** Photos and settings in the browser's database: they are there again when the page is opened again. */
export class Storage {
  /** Why nothing can be stored, or nothing. */
  problem = "";
  /** Whether writes are left out: another tab of the page has the data. */
  readOnly = false;
  #database: Promise<IDBDatabase> | undefined;
  readonly #writes = new Set<Promise<unknown>>();

  /** Ends when all writes begun so far have ended: a page that is closed earlier may lose them. */
  async written(): Promise<void> {
    await Promise.all(this.#writes);
  }

  photos(): Promise<StoredPhoto[] | undefined> {
    return this.#use("photos", "readonly", (store) => store.getAll() as IDBRequest<StoredPhoto[]>);
  }

  /** Stores photos, all of them or none; photos of the same ids are replaced. */
  putPhotos(photos: readonly StoredPhoto[]): Promise<void> {
    return this.#write("photos", (store) => {
      photos.forEach((photo) => store.put(photo, photo.id));
    });
  }

  removePhotos(ids: readonly string[]): Promise<void> {
    return this.#write("photos", (store) => {
      ids.forEach((id) => {
        store.delete(id);
      });
    });
  }

  clearPhotos(): Promise<void> {
    return this.#write("photos", (store) => {
      store.clear();
    });
  }

  get<K extends keyof StoredValues>(key: K): Promise<StoredValues[K] | undefined> {
    return this.#use(
      "values",
      "readonly",
      (store) => store.get(key) as IDBRequest<StoredValues[K] | undefined>,
    );
  }

  set<K extends keyof StoredValues>(key: K, value: StoredValues[K] | undefined): Promise<void> {
    return this.#write("values", (store) => {
      store.put(value, key);
    });
  }

  async #write(name: Store, work: (store: IDBObjectStore) => void): Promise<void> {
    if (this.readOnly) {
      return;
    }
    const write = this.#use(name, "readwrite", (store) => {
      work(store);
      return undefined;
    });
    this.#writes.add(write);
    await write;
    this.#writes.delete(write);
  }

  /** Training does not need a browser that stores something. */
  async #use<T>(
    name: Store,
    mode: IDBTransactionMode,
    work: (store: IDBObjectStore) => IDBRequest<T> | undefined,
  ): Promise<T | undefined> {
    try {
      const transaction = (await (this.#database ??= open())).transaction(name, mode);
      const request = work(transaction.objectStore(name));
      await new Promise<void>((resolve, reject) => {
        transaction.oncomplete = () => {
          resolve();
        };
        transaction.onabort = () => {
          reject(transaction.error ?? new Error("the browser has ended it"));
        };
      });
      return request?.result;
    } catch (error) {
      this.problem = `This browser keeps nothing when the page is closed (${reason(error)}).`;
      return undefined;
    }
  }
}

function open(): Promise<IDBDatabase> {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => {
    STORES.forEach((name) => request.result.createObjectStore(name));
  };
  return new Promise((resolve, reject) => {
    request.onsuccess = () => {
      resolve(request.result);
    };
    request.onerror = () => {
      reject(request.error ?? new Error("the database has failed"));
    };
  });
}
