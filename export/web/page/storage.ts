import { reason } from "../src/errors.js";

const DATABASE = "tinytl-page";
const STORES = ["photos", "values"] as const;
type Store = (typeof STORES)[number];

/** A photo as it is stored. */
export interface StoredPhoto {
  readonly id: string;
  readonly className: string;
  readonly file: Blob;
}

/** What else is stored, by its key. */
export interface StoredValues {
  /** Which model was open: one of the list by its name, or files of one's own. */
  model: { readonly name: string; readonly files?: { readonly model: Blob; readonly manifest: string } };
  /** Names of the classes by the model's output. */
  classes: readonly { readonly output: number; readonly name: string }[];
  settings: { readonly epochs: number; readonly learningRate: number };
  /** What was learned last, with the model that it belongs to. */
  learned: { readonly sha256: string; readonly state: Uint8Array<ArrayBuffer> };
}

/** Photos and settings in the browser's database: they are there again when the page is opened again. */
export class Storage {
  /** Why nothing can be stored, or nothing. */
  problem = "";
  #database: Promise<IDBDatabase> | undefined;

  photos(): Promise<StoredPhoto[] | undefined> {
    return this.#use("photos", "readonly", (store) => store.getAll() as IDBRequest<StoredPhoto[]>);
  }

  async addPhoto(photo: StoredPhoto): Promise<void> {
    await this.#use("photos", "readwrite", (store) => store.put(photo, photo.id));
  }

  async removePhoto(id: string): Promise<void> {
    await this.#use("photos", "readwrite", (store) => store.delete(id));
  }

  async removePhotos(): Promise<void> {
    await this.#use("photos", "readwrite", (store) => store.clear());
  }

  get<K extends keyof StoredValues>(key: K): Promise<StoredValues[K] | undefined> {
    return this.#use(
      "values",
      "readonly",
      (store) => store.get(key) as IDBRequest<StoredValues[K] | undefined>,
    );
  }

  async set<K extends keyof StoredValues>(key: K, value: StoredValues[K] | undefined): Promise<void> {
    await this.#use("values", "readwrite", (store) => store.put(value, key));
  }

  /** A browser that stores nothing is no reason not to train. */
  async #use<T>(
    name: Store,
    mode: IDBTransactionMode,
    work: (store: IDBObjectStore) => IDBRequest<T>,
  ): Promise<T | undefined> {
    try {
      const database = await (this.#database ??= open());
      return await finished(work(database.transaction(name, mode).objectStore(name)));
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
  return finished(request);
}

function finished<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => {
      resolve(request.result);
    };
    request.onerror = () => {
      reject(request.error ?? new Error("the database has failed"));
    };
  });
}
