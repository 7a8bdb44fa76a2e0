import type { Augmentation, Change } from "./augmentation.js";
import type { Size } from "./pixels.js";
import { Random } from "./random.js";
import { SCHEDULES } from "./schedules.js";

/** All that order and learning rate depend on. */
export interface OrderSettings {
  /** Number of photos or arrays to train on. */
  readonly photos: number;
  /** Photos or arrays of a step. */
  readonly batchSize: number;
  readonly epochs: number;
  /** Chooses the order, and the changes of photos. */
  readonly seed: number;
  /** Learning rate of step 0. */
  readonly learningRate: number;
  readonly schedule: keyof typeof SCHEDULES;
}

/** All that a plan depends on, but for the sizes of the photos. */
export interface PlanSettings extends OrderSettings {
  readonly augmentation: Augmentation;
  /** The model's input. */
  readonly size: Size;
  /** Part of a photo's side that is kept without `crop`. */
  readonly centralFraction: number;
}

/** A place in a step. */
export interface Place {
  /** Position in the list of training photos or arrays. */
  readonly photo: number;
  /** 0, or which repetition of the photo in a step that is filled up. */
  readonly copy: number;
}

/** Order and learning rate of each step, the same in all clients, see docs/formats.md; all that arrays need. */
export class OrderPlan<Settings extends OrderSettings = OrderSettings> {
  readonly stepsPerEpoch: number;
  readonly totalSteps: number;
  #order: { readonly epoch: number; readonly photos: readonly number[] } | undefined;

  constructor(readonly settings: Settings) {
    this.stepsPerEpoch = Math.max(1, Math.floor(settings.photos / settings.batchSize));
    this.totalSteps = settings.epochs * this.stepsPerEpoch;
  }

  /** Learning rate of a step, counted from 0 over the complete training. */
  rate(step: number): number {
    const { schedule, learningRate } = this.settings;
    return SCHEDULES[schedule](step, this.totalSteps, learningRate);
  }

  /** The photos or arrays of step `step` of an epoch, both counted from 0. */
  places(epoch: number, step: number): Place[] {
    const { photos, batchSize, seed } = this.settings;
    if (this.#order?.epoch !== epoch) {
      this.#order = { epoch, photos: new Random([seed, epoch, 0]).permutation(photos) };
    }
    const order = this.#order.photos;
    return Array.from({ length: batchSize }, (_, index) => {
      const place = step * batchSize + index;
      return { photo: order[place % photos]!, copy: Math.floor(place / photos) };
    });
  }
}

/** Plan of a training on photos for each step: order, learning rate and changes. */
export class TrainingPlan extends OrderPlan<PlanSettings> {
  /** The change of a photo, with its width and height after step 2 of "Pixels". */
  change(epoch: number, { photo, copy }: Place, photoSize: { width: number; height: number }): Change {
    const { seed, augmentation, size, centralFraction } = this.settings;
    const random = new Random([seed, epoch, photo + 1, ...(copy > 0 ? [copy] : [])]);
    return augmentation.draw(photoSize, size, random, centralFraction);
  }
}
