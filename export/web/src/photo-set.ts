import { InputError } from "./errors.js";
import type { Photo } from "./pixels.js";
import { Random } from "./random.js";
import type { Labels } from "./tasks.js";

/** One photo with its label, decoded when it is needed. */
export interface LabeledPhoto {
  /** A class, or with several attributes a number from 0 to 1 for each. */
  readonly label: number | readonly number[];
  /** What tells the photo from others, whose change means that it is another: a run goes on with the same ones only. */
  readonly id: string;
  /** The photo after step 2 of docs/formats.md. */
  read(): Promise<Photo>;
}

/** The numbers of a label. */
export function labelNumbers(photo: LabeledPhoto): Labels {
  return typeof photo.label === "number" ? [photo.label] : photo.label;
}

/**
 * Holds out a quarter of the photos of each class, at least one; with several attributes of all photos.
 *
 * @param photos All photos.
 * @param seed Chooses them.
 * @throws InputError If a class has fewer than two.
 */
export function holdOut(
  photos: readonly LabeledPhoto[],
  seed: number,
): { train: LabeledPhoto[]; heldOut: LabeledPhoto[] } {
  const groups = new Map<number, number[]>();
  photos.forEach(({ label }, index) => {
    const key = typeof label === "number" ? label : 0;
    groups.set(key, [...(groups.get(key) ?? []), index]);
  });
  const held = new Set<number>();
  for (const [label, members] of groups) {
    if (members.length < 2) {
      throw new InputError(
        `expected at least 2 photos of class ${label}, one to train and one to test, got ${members.length}; add photos`,
      );
    }
    const count = Math.max(1, Math.floor((members.length + 2) / 4));
    for (const chosen of new Random([seed, label]).permutation(members.length).slice(-count)) {
      held.add(members[chosen]!);
    }
  }
  return {
    train: photos.filter((_, index) => !held.has(index)),
    heldOut: photos.filter((_, index) => held.has(index)),
  };
}
