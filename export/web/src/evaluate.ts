import { InputError, TrainingDiverged } from "./errors.js";
import { labelNumbers } from "./photo-set.js";
import type { LabeledPhoto } from "./photo-set.js";
import { modelInput } from "./pixels.js";
import type { RecallFigures } from "./recall.js";
import type { TrainableModel } from "./trainable-model.js";

/** Figures over a set of photos. */
export interface EvaluateResult extends RecallFigures {
  /** Share of the photos (of their attributes, with several) that were answered rightly, 0 to 1. */
  readonly accuracy: number;
  /** Mean cross-entropy, without label smoothing. */
  readonly loss: number;
  /** Number of photos. */
  readonly examples: number;
}

/**
 * Runs inference on each photo.
 *
 * @param model The model.
 * @param photos At least one.
 * @param signal Ends it early: its reason is thrown.
 * @throws InputError If there is no photo, or a label does not fit the model.
 * @throws TrainingDiverged If the model's answers are not finite.
 */
export async function evaluate(
  model: TrainableModel,
  photos: readonly LabeledPhoto[],
  signal?: AbortSignal,
): Promise<EvaluateResult> {
  if (photos.length === 0) {
    throw new InputError("expected photos to evaluate on, got none; add photos");
  }
  const tally = model.task.tally(model.classNames);
  let [right, loss] = [0, 0];
  for (const photo of photos) {
    signal?.throwIfAborted();
    const label = labelNumbers(photo);
    model.task.checkLabels(label, 1, model.numClasses);
    const image = modelInput(await photo.read(), model.imageSize, model.manifest.input.central_fraction);
    const { logits } = await model.infer(image);
    if (!logits.every(Number.isFinite)) {
      throw new TrainingDiverged(
        "expected finite logits, got others; reset or restore the model, and train with a lower learning rate",
      );
    }
    loss += model.task.loss(logits, label);
    right += model.task.correct(logits, label);
    tally.add(logits, label);
  }
  const count = photos.length;
  return { accuracy: right / count, loss: loss / count, examples: count, ...tally.figures() };
}
