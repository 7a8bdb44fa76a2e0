import { InputError } from "./errors.js";
import type { LabeledArray } from "./labeled-array.js";
import type { SplitSettings } from "./manifest.js";
import type { Photo } from "./pixels.js";
import { plainSha256 } from "./sha256.js";
import type { Labels } from "./tasks.js";

/** Photos are held out if their 32-bit number is below this threshold: a quarter of all photos. */
const HELD_OUT_BELOW = 2 ** 30;

/** A photo with its label, decoded when it is needed. */
export interface LabeledPhoto {
  /** Index of a class, or with several attributes a list with a number from 0 to 1 for each. */
  readonly label: number | readonly number[];
  /**
   * Result of `photoId` for the photo. It decides whether the photo is held out, and whether a training can be resumed.
   */
  readonly id: string;
  /** The photo after step 2 of docs/formats.md. */
  read(): Promise<Photo>;
}

/** A training set and a held-out set of photos or arrays. */
export interface Split<Example> {
  readonly train: Example[];
  readonly heldOut: Example[];
}

/** A training set and a held-out set of photos. */
export type PhotoSplit = Split<LabeledPhoto>;

/** Returns the numbers of a label. */
export function labelNumbers({ label }: Pick<LabeledPhoto, "label">): Labels {
  return typeof label === "number" ? [label] : label;
}

/**
 * Whether a photo is held out. This depends only on the photo, so that copies stay together.
 *
 * @param id Result of `photoId` for the photo.
 * @param seed `data.split_seed` of the manifest, or another integer of 0 or more.
 */
export function isHeldOut(id: string, seed: number): boolean {
  const digest = plainSha256(new TextEncoder().encode(`${seed}/${id}`));
  return new DataView(digest.buffer).getUint32(0) < HELD_OUT_BELOW;
}

/**
 * Holds out about a quarter of the photos or arrays, chosen by their content. The choice does not depend on other
 * photos: a photo that was trained on is not held out later, even if photos are added or removed. If there are few
 * photos, the held-out set may be empty.
 *
 * @param photos All photos or arrays.
 * @param seed Chooses the held-out photos: `model.manifest.data.split_seed`, or another integer of 0 or more.
 * @param trained IDs of all photos that a training has used, for callers that store them. These photos are not held
 *   out, and if all photos of a class would be held out, they are trained on instead.
 * @throws InputError If without `trained` all photos of a class would be held out, or a label is a number that is not
 *   the index of a class: labels of a regression are lists.
 */
export function holdOut<Example extends LabeledPhoto | LabeledArray>(
  photos: readonly Example[],
  seed: number,
  trained?: ReadonlySet<string>,
): Split<Example> {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new InputError(`expected a seed that is an integer of 0 or more, got ${seed}; give 0, for example`);
  }
  const noClass = photos.find(({ label }) => typeof label === "number" && !Number.isInteger(label));
  if (noClass) {
    throw new InputError(
      `expected indices of classes or lists of numbers as labels, got ${String(noClass.label)}; give ` +
        `[${String(noClass.label)}]`,
    );
  }
  const held = photos.map(({ id }) => !trained?.has(id) && isHeldOut(id, seed));
  // Photos with several attributes are one group, and so are photos of a regression.
  const group = ({ label }: Example) => (typeof label === "number" ? label : 0);
  const trainable = new Set(photos.filter((_, index) => !held[index]).map(group));
  const without = photos.find((photo) => !trainable.has(group(photo)));
  if (without && !trained) {
    const kind = "array" in without ? "arrays" : "photos";
    const count = photos.filter((photo) => group(photo) === group(without)).length;
    throw new InputError(
      `expected ${kind} of class ${group(without)} to train on, got ${count}, all of which are held out; add ` +
        `${kind}, choose the held-out ${kind} yourself, or use another seed`,
    );
  }
  const isTest = photos.map((photo, index) => held[index] === true && trainable.has(group(photo)));
  return {
    train: photos.filter((_, index) => !isTest[index]),
    heldOut: photos.filter((_, index) => isTest[index]),
  };
}

/**
 * Returns a note for the user about held-out photos if the file is of an older export, otherwise an empty text.
 *
 * @param data `data` of the manifest.
 * @param kind Kind of the model's examples.
 */
export function splitWarning(
  { split }: Pick<SplitSettings, "split">,
  kind: "photos" | "arrays" = "photos",
): string {
  if (split === "content") {
    return "";
  }
  return kind === "photos"
    ? "The model was trained by a version that held out other photos: some of the held-out photos may have been " +
        "trained on."
    : "The model does not specify how its test arrays were chosen: some of the held-out arrays may have been " +
        "trained on.";
}
