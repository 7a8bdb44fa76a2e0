import { photoFromFile } from "../src/index.js";
import type { Photo, Size } from "../src/index.js";

const MOST_BYTES = 256e6; // of decoded photos that are kept

let kept = 0;
let counter = 0;

/** One photo of a person: its file, and its pixels once they were needed. */
export class PagePhoto {
  readonly id: string;
  /** Address of the picture for this page. */
  readonly url: string;
  #pixels: Promise<Photo> | undefined;
  #bytes = 0;
  #size = "";

  constructor(
    readonly file: Blob,
    id?: string,
  ) {
    // Stored photos come back in the order of these.
    this.id = id ?? `${Date.now()}-${String(++counter).padStart(6, "0")}`;
    this.url = URL.createObjectURL(file);
  }

  /** The photo for a model of an input size; decoded once where memory allows. */
  async read(size: Size): Promise<Photo> {
    if (this.#size !== size.join()) {
      this.#drop();
      this.#size = size.join();
    }
    const pixels = this.#pixels ?? photoFromFile(this.file, size);
    const photo = await pixels;
    if (!this.#pixels && kept + photo.pixels.length <= MOST_BYTES) {
      this.#pixels = pixels;
      this.#bytes = photo.pixels.length;
      kept += this.#bytes;
    }
    return photo;
  }

  /** Frees what the page keeps of it. */
  delete(): void {
    URL.revokeObjectURL(this.url);
    this.#drop();
  }

  #drop(): void {
    kept -= this.#bytes;
    this.#bytes = 0;
    this.#pixels = undefined;
  }
}
