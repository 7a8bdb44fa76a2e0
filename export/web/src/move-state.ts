import { InputError } from "./errors.js";
import { stateSize } from "./manifest.js";
import type { Manifest, StatePart } from "./manifest.js";
import { fromHex } from "./sha256.js";
import { checkAdded, checkClasses, valuesOf } from "./state-check.js";
import { StateFile } from "./state-file.js";

/** The signature `restore` refuses a state whose magnitudes add up to this or more. */
const LARGEST = 1e15;

/**
 * Moves a state to a new export of the same network, for example with another batch size or int8 kernels, as
 * `tinytl move-state` does: the new file has the same bytes.
 *
 * Variables are matched by name. The optimizer's slots restart, as after a reset.
 *
 * @param state Content of the `.tinytl` file.
 * @param fromManifest Manifest of the model that the state was saved from, see `parseManifest`.
 * @param toManifest Manifest of the new model.
 * @param name Name of the state file in errors.
 * @returns Content of a `.tinytl` file for the new model.
 * @throws InputError If the state is damaged or belongs to another model; if the models differ in their classes, their
 *   frozen weights or their trained variables; or if the new model could not restore it.
 *
 * @example
 * const file = moveState(saved, parseManifest(oldText), parseManifest(newText));
 * await newModel.restore(file);
 */
export function moveState(
  state: Uint8Array,
  fromManifest: Manifest,
  toManifest: Manifest,
  name = "the state file",
): Uint8Array<ArrayBuffer> {
  checkModels(fromManifest, toManifest);
  const saved = StateFile.parse(state, fromHex(fromManifest.sha256), stateSize(fromManifest), name);
  checkAdded(saved.addedClasses, fromManifest, name);
  const parts = variables(fromManifest);
  const values = new Float32Array(stateSize(toManifest));
  for (const [key, part] of variables(toManifest)) {
    // Adding 0 turns -0 into 0, as in the Python client.
    valuesOf(part, values).set(valuesOf(parts.get(key)!, saved.values).map((value) => value + 0));
  }
  checkMoved(values, toManifest, saved.addedClasses.length, `cannot move ${name}`);
  return new StateFile(fromHex(toManifest.sha256), values, saved.addedClasses).toBytes();
}

/** Refuses models that are not exports of one network with the same classes. */
function checkModels(from: Manifest, to: Manifest): void {
  if (from.task !== to.task || !sameLists(from.labels, to.labels)) {
    throw new InputError(
      `expected the classes ${to.labels.join(", ")} of the new model in this order, got ${from.labels.join(", ")} of ` +
        "the old one; move states between models of the same classes",
    );
  }
  if (from.frozen_sha256 && to.frozen_sha256 && from.frozen_sha256 !== to.frozen_sha256) {
    throw new InputError(
      "expected two exports of one network, got other frozen weights in the new one; move states between models of " +
        "one network",
    );
  }
  const [old, own] = [variables(from), variables(to)];
  const different = [...old.keys(), ...own.keys()].filter((key) => !old.has(key) || !own.has(key)).sort()[0];
  if (different !== undefined) {
    throw new InputError(
      `expected the same trained variables in both models, got a difference at ` +
        `${(old.get(different) ?? own.get(different))!.name}; move states between models of one network and update scheme`,
    );
  }
}

/** Returns the trained variables of a state by name and shape. */
function variables({ state }: Manifest): Map<string, StatePart> {
  return new Map(
    state.filter(({ slot }) => slot === "").map((part) => [`${part.name} ${part.shape.join(" ")}`, part]),
  );
}

/** Refuses a state that the new model could not restore. */
function checkMoved(state: Float32Array, manifest: Manifest, added: number, what: string): void {
  const total = state.reduce((sum, value) => sum + Math.abs(value), 0);
  if (total >= LARGEST) {
    throw new InputError(
      `${what}: expected magnitudes that add up to less than ${LARGEST}, got ${total}; use another copy, or reset ` +
        "the model and train with a lower learning rate",
    );
  }
  checkClasses(state, manifest, added, what);
}

function sameLists(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((value, index) => value === right[index]);
}
