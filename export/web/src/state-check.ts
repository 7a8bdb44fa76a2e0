import { InputError } from "./errors.js";
import type { Manifest, StatePart } from "./manifest.js";
import { length } from "./manifest.js";
import { checkNames } from "./names.js";

/** Bias of an output without a class. */
const UNUSED = -10_000;
/** Slots whose values training never makes negative. */
const NOT_NEGATIVE = ["second_moment", "step"];

/** Refuses slots that cannot come from training: they would become NaN in the next step. */
export function checkSlots(state: Float32Array, manifest: Manifest): void {
  for (const part of manifest.state) {
    if (NOT_NEGATIVE.includes(part.slot)) {
      const wrong = valuesOf(part, state).find((value) => value < 0);
      if (wrong !== undefined) {
        throw new InputError(
          `cannot set the state: expected ${part.slot} of ${part.name} of 0 or more, got ${wrong}; use another copy`,
        );
      }
    }
  }
}

/** Returns a view of the values of a part of a state. */
export function valuesOf(part: StatePart, state: Float32Array): Float32Array {
  return state.subarray(part.offset, part.offset + length(part));
}

/** Returns views of the bias and the kernel of the classifier in a state, in rows of all outputs. */
export function classifier(state: Float32Array, manifest: Manifest): Float32Array[] {
  return ["classifier/bias", "classifier/kernel"].flatMap((name) =>
    manifest.state
      .filter((part) => part.name === name && part.slot === "")
      .map((part) => valuesOf(part, state)),
  );
}

/**
 * Refuses a state in which an output is in use but has no name, or has a name but is not in use.
 *
 * @param state The values.
 * @param manifest Manifest of the model.
 * @param added Number of added classes.
 * @param what Beginning of the error, for example "cannot set the state".
 */
export function checkClasses(state: Float32Array, manifest: Manifest, added: number, what: string): void {
  const bias = classifier(state, manifest)[0];
  if (manifest.spare_classes === 0 || !bias) {
    return;
  }
  const used = bias.filter((value) => value > UNUSED / 2).length;
  const expected = manifest.labels.length + added;
  if (used !== expected || bias.subarray(expected).some((value) => value !== UNUSED)) {
    throw new InputError(
      `${what}: expected ${expected} outputs in use, got ${used}; restore it from its file, which has the names of ` +
        "the added classes",
    );
  }
}

/**
 * Refuses added classes that a model has no spare outputs for, or that have names of exported classes.
 *
 * @param added Names of the added classes.
 * @param manifest Manifest of the model.
 * @param name Name of the state file in errors.
 */
export function checkAdded(added: readonly string[], manifest: Manifest, name: string): void {
  if (added.length > manifest.spare_classes) {
    throw new InputError(
      `${name} has ${added.length} added classes, expected at most ${manifest.spare_classes}, the spare ones of the ` +
        "model; use another copy",
    );
  }
  checkNames(added, manifest.labels);
}
