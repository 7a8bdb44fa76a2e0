import { InputError } from "./errors.js";
import type { LabeledArray } from "./labeled-array.js";
import type { SplitSettings } from "./manifest.js";
import type { Photo } from "./pixels.js";
import { plainSha256 } from "./sha256.js";
import type { Labels } from "./tasks.js";

/** Photos with a number below this one of 2^32 are held out: a quarter. */
const HELD_OUT_BELOW = 2 ** 30;

/** One photo with its label, decoded when it is needed. */
export interface LabeledPhoto {
  /** A class, or with several attributes a number from 0 to 1 for each. */
  readonly label: number | readonly number[];
  /** Result of `photoId` for it: whether the photo is held out and whether a training can resume depends on it. */
  readonly id: string;
  /** The photo after step 2 of docs/formats.md. */
  read(): Promise<Photo>;
}

/** Examples to train on, and examples to evaluate on: photos or arrays. */
export interface Split<Example> {
  readonly train: Example[];
  readonly heldOut: Example[];
}

/** Photos to train on, and photos to evaluate on. */
export type PhotoSplit = Split<LabeledPhoto>;

/** The numbers of a label. */
export function labelNumbers({ label }: Pick<LabeledPhoto, "label">): Labels {
  return typeof label === "number" ? [label] : label;
}

/**
 * Whether a photo is held out; it depends only on the photo, so that copies of it stay together.
 *
 * @param id Result of `photoId` for it.
 * @param seed `data.split_seed` of the manifest, or another whole number.
 */
export function isHeldOut(id: string, seed: number): boolean {
  const digest = plainSha256(new TextEncoder().encode(`${seed}/${id}`));
  return new DataView(digest.buffer).getUint32(0) < HELD_OUT_BELOW;
}

/**
 * Holds out about a quarter of the photos or arrays, chosen by their content. Which ones does not depend on the other photos: a
 * photo that was trained on is not held out later, even if photos are added or removed. With few photos it may be none.
 *
 * @param photos All photos, or all arrays.
 * @param seed Chooses them: `model.manifest.data.split_seed`, or another whole number.
 * @param trained Ids of all photos that a training has used, for a caller that stores them: these are not held out, and
 *   a class with all photos held out is trained on.
 * @throws InputError If without `trained` all photos of a class would be held out, or a label is a number that is not
 *   a class: those of a regression are lists.
 */
export function holdOut<Example extends LabeledPhoto | LabeledArray>(
  photos: readonly Example[],
  seed: number,
  trained?: ReadonlySet<string>,
): Split<Example> {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new InputError(`expected a seed that is a whole number of 0 or more, got ${seed}`);
  }
  const noClass = photos.find(({ label }) => typeof label === "number" && !Number.isInteger(label));
  if (noClass) {
    throw new InputError(
      `expected labels that are classes or lists of numbers, got ${String(noClass.label)}; give [${String(noClass.label)}]`,
    );
  }
  const held = photos.map(({ id }) => !trained?.has(id) && isHeldOut(id, seed));
  // Photos of several attributes are one group, and so are those of a regression.
  const group = ({ label }: Example) => (typeof label === "number" ? label : 0);
  const trainable = new Set(photos.filter((_, index) => !held[index]).map(group));
  const without = photos.find((photo) => !trainable.has(group(photo)));
  if (without && !trained) {
    const kind = "array" in without ? "arrays" : "photos";
    const count = photos.filter((photo) => group(photo) === group(without)).length;
    throw new InputError(
      `expected ${kind} to train on of class ${group(without)}, got ${count} of which all are held out; add ${kind}, choose ` +
        `the held-out ${kind} yourself, or use another seed`,
    );
  }
  const isTest = photos.map((photo, index) => held[index] === true && trainable.has(group(photo)));
  return {
    train: photos.filter((_, index) => !isTest[index]),
    heldOut: photos.filter((_, index) => isTest[index]),
  };
}

/**
 * A note for the user about held-out photos for a file of an older export, or nothing.
 *
 * @param data The manifest's.
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
    ? "The model comes from a version that chose its test photos by another rule: photos that it was trained on may be among those held out."
    : "The model does not say how its test arrays were chosen: arrays that it was trained on may be among those held out.";
}
