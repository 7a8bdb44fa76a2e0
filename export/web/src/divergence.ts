import { TrainingDiverged } from "./errors.js";
import type { StepRecord } from "./progress-store.js";

/** A loss so many times larger than before means divergence. */
const GROWTH = 10;
const REMEDY = "lower the learning rate, and reset or restore the model";

/** How many steps changed the model, in words. */
export function appliedInWords(steps: readonly StepRecord[]): string {
  return `${steps.filter(({ applied }) => applied).length} of ${steps.length} steps applied`;
}

/**
 * Ends a training as soon as more than half of the steps of an epoch cannot be applied.
 *
 * @param steps Steps of the epoch so far.
 * @param perEpoch Steps of a complete epoch.
 * @param epoch Counted from 0.
 */
export function checkSteps(steps: readonly StepRecord[], perEpoch: number, epoch: number): void {
  if (2 * steps.filter(({ applied }) => !applied).length > perEpoch) {
    throw new TrainingDiverged(
      `the training has diverged: ${appliedInWords(steps)} in epoch ${epoch + 1}, the loss or gradients of the others are ` +
        `not finite; ${REMEDY}`,
    );
  }
}

/**
 * Ends a training that has made the model worse than guessing.
 *
 * @param before Loss before it.
 * @param after Loss after it.
 * @param guess Loss of a guess without knowledge.
 * @param steps All steps so far.
 */
export function checkLoss(before: number, after: number, guess: number, steps: readonly StepRecord[]): void {
  const most = GROWTH * (Number.isFinite(before) ? Math.max(before, guess) : guess);
  if (!(Number.isFinite(after) && after <= most)) {
    throw new TrainingDiverged(
      `the training has diverged: expected a loss of at most ${most.toFixed(2)}, got ${after.toPrecision(4)}, ` +
        `${before.toPrecision(4)} before (${appliedInWords(steps)}); ${REMEDY}`,
    );
  }
}
