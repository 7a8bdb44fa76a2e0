import { InputError } from "./errors.js";
import type { DataSettings } from "./manifest.js";
import type { Photo } from "./pixels.js";
import { plainSha256 } from "./sha256.js";
import type { Labels } from "./tasks.js";

/** Held out are photos whose number is below this one of 2^32: a quarter. */
const HELD_OUT_BELOW = 2 ** 30;

/** One photo with its label, decoded when it is needed. */
export interface LabeledPhoto {
  /** A class, or with several attributes a number from 0 to 1 for each. */
  readonly label: number | readonly number[];
  /** What `photoId` returns for it: whether the photo is held out and whether a training can resume depends on it. */
  readonly id: string;
  /** The photo after step 2 of docs/formats.md. */
  read(): Promise<Photo>;
}

/** Photos to train on, and photos to evaluate on. */
export interface PhotoSplit {
  readonly train: LabeledPhoto[];
  readonly heldOut: LabeledPhoto[];
}

/** The numbers of a label. */
export function labelNumbers(photo: LabeledPhoto): Labels {
  return typeof photo.label === "number" ? [photo.label] : photo.label;
}

/**
 * Whether a photo is held out; it depends on the photo alone, so that copies of it stay together.
 *
 * @param id What `photoId` returns for it.
 * @param seed `data.split_seed` of the manifest, or another whole number.
 */
export function isHeldOut(id: string, seed: number): boolean {
  const digest = plainSha256(new TextEncoder().encode(`${seed}/${id}`));
  return new DataView(digest.buffer).getUint32(0) < HELD_OUT_BELOW;
}

/**
 * Holds out about a quarter of the photos, chosen by their content. Which ones does not depend on the other photos: a
 * photo that was trained on is not held out later, whatever is added or removed. Of few photos it may be none.
 *
 * @param photos All photos.
 * @param seed Chooses them: `model.manifest.data.split_seed`, or another whole number.
 * @param trained Ids of all photos that were ever trained on, for a caller that remembers them: these are not held out,
 *   and a class whose photos would all be held out is trained on.
 * @throws InputError If without `trained` all photos of a class would be held out.
 */
export function holdOut(
  photos: readonly LabeledPhoto[],
  seed: number,
  trained?: ReadonlySet<string>,
): PhotoSplit {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new InputError(`expected a seed that is a whole number of 0 or more, got ${seed}`);
  }
  const held = photos.map(({ id }) => !trained?.has(id) && isHeldOut(id, seed));
  // Photos of several attributes are one group.
  const group = ({ label }: LabeledPhoto) => (typeof label === "number" ? label : 0);
  const trainable = new Set(photos.filter((_, index) => !held[index]).map(group));
  const without = photos.find((photo) => !trainable.has(group(photo)));
  if (without && !trained) {
    const count = photos.filter((photo) => group(photo) === group(without)).length;
    throw new InputError(
      `expected photos to train on of class ${group(without)}, got ${count} of which all are held out; add photos, choose ` +
        "the held-out photos yourself, or use another seed",
    );
  }
  const isTest = photos.map((photo, index) => held[index] === true && trainable.has(group(photo)));
  return {
    train: photos.filter((_, index) => !isTest[index]),
    heldOut: photos.filter((_, index) => isTest[index]),
  };
}

/** What a person has to know of photos that are held out for a file of an older export, or nothing. */
export function splitWarning({ split }: Pick<DataSettings, "split">): string {
  return split === "content"
    ? ""
    : "The model comes from a version that chose its test photos by another rule: photos that it was trained on may be among those held out.";
}
