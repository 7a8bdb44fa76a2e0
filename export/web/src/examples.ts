import { InputError } from "./errors.js";
import { checkArray } from "./labeled-array.js";
import type { LabeledArray } from "./labeled-array.js";
import { labelNumbers } from "./photo-set.js";
import type { LabeledPhoto } from "./photo-set.js";
import type { TrainableModel } from "./trainable-model.js";

/** Examples for training and evaluation: photos, or arrays for a model of arrays, but not both. */
export type Examples = readonly LabeledPhoto[] | readonly LabeledArray[];

/** Returns the word for a model's examples. */
export function kindOf(model: TrainableModel): "photos" | "arrays" {
  return model.inputName === "array" ? "arrays" : "photos";
}

/**
 * Checks examples before anything runs.
 *
 * @param model The model.
 * @param examples Photos or arrays.
 * @throws InputError If they are of the wrong kind, a label does not fit the model, or an array has a wrong length or a
 *   number that is not finite.
 */
export function checkExamples(model: TrainableModel, examples: Examples): void {
  for (const example of examples) {
    checkKind(model, example);
    if (model.task.name === "regression" && typeof example.label === "number") {
      throw new InputError(
        `expected lists of numbers as labels of a regression, got ${example.label}; give [${example.label}]`,
      );
    }
    model.task.checkLabels(labelNumbers(example), 1, model.numClasses);
  }
}

function checkKind(model: TrainableModel, example: LabeledPhoto | LabeledArray): void {
  if (model.inputName === "array") {
    if (!("array" in example)) {
      throw new InputError(
        "expected float arrays, since the model takes arrays, got a photo; load a model of images, or give arrays",
      );
    }
    checkArray("an array", example.array, model.inputShape);
  } else if ("array" in example) {
    throw new InputError(
      "expected photos, since the model takes images, got a float array; load a model of arrays, or give photos",
    );
  }
}
