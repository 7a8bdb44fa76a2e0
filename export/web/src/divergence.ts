import { TrainingDiverged } from "./errors.js";
import type { StepRecord } from "./progress-store.js";

/** A training has diverged if the loss is larger than before by this factor. */
const GROWTH = 10;
const REMEDY = "lower the learning rate, and reset the model or restore another state";

/** Returns the number of steps that changed the model, in words. */
export function appliedInWords(steps: readonly StepRecord[]): string {
  return `${steps.filter(({ applied }) => applied).length} of ${steps.length} steps applied`;
}

/**
 * Throws as soon as more than half of the steps of an epoch could not be applied.
 *
 * @param steps Steps of the epoch so far.
 * @param perEpoch Number of steps of a complete epoch.
 * @param epoch Index of the epoch, from 0.
 */
export function checkSteps(steps: readonly StepRecord[], perEpoch: number, epoch: number): void {
  if (2 * steps.filter(({ applied }) => !applied).length > perEpoch) {
    throw new TrainingDiverged(
      `the training has diverged: ${appliedInWords(steps)} in epoch ${epoch + 1}, all others had a loss or ` +
        `gradients that are not finite; ${REMEDY}`,
    );
  }
}

/**
 * Throws if a training has made the model worse than guessing.
 *
 * @param before Loss before the training.
 * @param after Loss after the training.
 * @param guess Loss of a uniform guess.
 * @param steps All steps so far.
 */
export function checkLoss(before: number, after: number, guess: number, steps: readonly StepRecord[]): void {
  const most = GROWTH * (Number.isFinite(before) ? Math.max(before, guess) : guess);
  if (!(Number.isFinite(after) && after <= most)) {
    throw new TrainingDiverged(
      `the training has diverged: expected a final loss of at most ${most.toFixed(2)}, got ` +
        `${after.toPrecision(4)}; it was ${before.toPrecision(4)} before (${appliedInWords(steps)}); ${REMEDY}`,
    );
  }
}
