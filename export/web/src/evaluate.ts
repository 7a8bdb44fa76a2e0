import { InputError, TrainingDiverged } from "./errors.js";
import { checkExamples, kindOf } from "./examples.js";
import type { Examples } from "./examples.js";
import type { LabeledArray } from "./labeled-array.js";
import { labelNumbers } from "./photo-set.js";
import type { LabeledPhoto } from "./photo-set.js";
import { modelInput } from "./pixels.js";
import type { RecallFigures } from "./recall.js";
import type { TrainableModel } from "./trainable-model.js";

/** Results of an evaluation on a set of photos or arrays. */
export interface EvaluateResult extends RecallFigures {
  /**
   * Share of the photos (with several attributes, of their attributes) with a correct prediction, 0 to 1; for a
   * regression the share of the predictions within 0.5 of their labels.
   */
  readonly accuracy: number;
  /** Mean cross-entropy without label smoothing; for a regression the mean squared error. */
  readonly loss: number;
  /** Number of photos or arrays. */
  readonly examples: number;
}

/**
 * Runs inference on each photo or array, and computes accuracy and loss.
 *
 * @param model The model.
 * @param examples Photos, or arrays for a model of arrays; at least one.
 * @param signal Aborts the evaluation: its reason is thrown.
 * @throws InputError If the list is empty, or an example or its label does not fit the model; nothing runs then.
 * @throws TrainingDiverged If the model's predictions are not finite.
 */
export async function evaluate(
  model: TrainableModel,
  examples: Examples,
  signal?: AbortSignal,
): Promise<EvaluateResult> {
  if (examples.length === 0) {
    const kind = kindOf(model);
    throw new InputError(`expected ${kind} to evaluate on, got none; add ${kind}`);
  }
  checkExamples(model, examples);
  const tally = model.task.tally(model.classNames);
  let [right, loss] = [0, 0];
  for (const example of examples) {
    signal?.throwIfAborted();
    const label = labelNumbers(example);
    const { logits } = await model.infer(await inputOf(model, example));
    if (!logits.every(Number.isFinite)) {
      throw new TrainingDiverged(
        "expected finite logits, got NaN or infinity; reset the model or restore another state, and train with a " +
          "lower learning rate",
      );
    }
    loss += model.task.loss(logits, label);
    right += model.task.correct(logits, label);
    tally.add(logits, label);
  }
  const count = examples.length;
  return { accuracy: right / count, loss: loss / count, examples: count, ...tally.figures() };
}

async function inputOf(
  model: TrainableModel,
  example: LabeledPhoto | LabeledArray,
): Promise<Uint8Array | Float32Array> {
  return "array" in example
    ? example.array
    : modelInput(await example.read(), model.imageSize, model.centralFraction);
}
