import { photoFromFile, photoId } from "../src/index.js";
import { reason } from "../src/errors.js";
import type { Photo, Size } from "../src/index.js";
import type { StoredPhoto } from "./storage.js";

const MOST_BYTES = 256e6; // of decoded photos that are kept

let kept = 0;
let counter = 0;

/** One photo of a person: its file, and its pixels once they were needed. */
export class PagePhoto {
  /** Key by which it is stored; stored photos come back in the order of these. */
  readonly id: string;
  /** Address of the picture for this page. */
  readonly url: string;
  /** Why it cannot be read, or nothing; known after `prepare`. */
  problem = "";
  /** Its content's `photoId`; known after `prepare`. */
  digest: string | undefined;
  #pixels: Promise<Photo> | undefined;
  #bytes = 0;
  #size = "";

  constructor(
    readonly file: Blob,
    stored?: Partial<Pick<StoredPhoto, "id" | "digest">>,
  ) {
    this.id = stored?.id ?? `${Date.now()}-${String(++counter).padStart(6, "0")}`;
    this.digest = stored?.digest;
    this.url = URL.createObjectURL(file);
  }

  /** The user's name for it. */
  get name(): string {
    return this.file instanceof File ? this.file.name : "a photo of the camera";
  }

  /** Finds out whether it can be read, and its digest, unless that is known. */
  async prepare(size: Size): Promise<void> {
    if (this.digest === undefined) {
      try {
        await this.read(size);
        this.digest = await photoId(this.file);
      } catch (error) {
        this.problem = reason(error);
      }
    }
  }

  /** The photo for a model of an input size; decoded once where memory allows. */
  async read(size: Size): Promise<Photo> {
    if (this.#size !== size.join()) {
      this.#drop();
      this.#size = size.join();
    }
    const pixels = this.#pixels ?? photoFromFile(this.file, size);
    let photo: Photo;
    try {
      photo = await pixels;
      this.problem = "";
    } catch (error) {
      this.problem = reason(error);
      throw error;
    }
    if (!this.#pixels && kept + photo.pixels.length <= MOST_BYTES) {
      this.#pixels = pixels;
      this.#bytes = photo.pixels.length;
      kept += this.#bytes;
    }
    return photo;
  }

  /** Frees the page's memory for it. */
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

/** Photos that were read, and the names of files that could not be. */
export interface OpenedPhotos {
  readonly photos: readonly PagePhoto[];
  readonly skipped: readonly string[];
}

/**
 * Reads files from the user; files that the browser cannot read are left out.
 *
 * @param files The files.
 * @param size The model's input.
 * @param onPhoto Called before each file.
 */
export async function openPhotos(
  files: readonly Blob[],
  size: Size,
  onPhoto: (index: number) => void = () => undefined,
): Promise<OpenedPhotos> {
  const [photos, skipped]: [PagePhoto[], string[]] = [[], []];
  for (const [index, file] of files.entries()) {
    onPhoto(index);
    const photo = new PagePhoto(file);
    await photo.prepare(size);
    if (photo.problem === "") {
      photos.push(photo);
    } else {
      photo.delete();
      skipped.push(photo.name);
    }
  }
  return { photos, skipped };
}
