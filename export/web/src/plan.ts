import type { Augmentation, Change } from "./augmentation.js";
import type { Size } from "./pixels.js";
import { Random } from "./random.js";
import { SCHEDULES } from "./schedules.js";

/** Settings that determine the order and the learning rates. */
export interface OrderSettings {
  /** Number of training photos or arrays. */
  readonly photos: number;
  /** Number of photos or arrays in a step. */
  readonly batchSize: number;
  readonly epochs: number;
  /** Seed of the order and of the changes of photos. */
  readonly seed: number;
  /** Learning rate of step 0. */
  readonly learningRate: number;
  readonly schedule: keyof typeof SCHEDULES;
}

/** Settings that determine a plan, apart from the sizes of the photos. */
export interface PlanSettings extends OrderSettings {
  readonly augmentation: Augmentation;
  /** Size of the model's input. */
  readonly size: Size;
  /** Fraction of each side of a photo that is kept without `crop`. */
  readonly centralFraction: number;
}

/** A photo or array in a step. */
export interface Place {
  /** Index in the list of training photos or arrays. */
  readonly photo: number;
  /** 0, or the number of the repetition if the photo fills up a step. */
  readonly copy: number;
}

/**
 * Order and learning rate of each step, which are the same in all clients, see docs/formats.md. Arrays need nothing
 * else.
 */
export class OrderPlan<Settings extends OrderSettings = OrderSettings> {
  readonly stepsPerEpoch: number;
  readonly totalSteps: number;
  #order: { readonly epoch: number; readonly photos: readonly number[] } | undefined;

  constructor(readonly settings: Settings) {
    this.stepsPerEpoch = Math.max(1, Math.floor(settings.photos / settings.batchSize));
    this.totalSteps = settings.epochs * this.stepsPerEpoch;
  }

  /** Returns the learning rate of a step, counted from 0 over the complete training. */
  rate(step: number): number {
    const { schedule, learningRate } = this.settings;
    return SCHEDULES[schedule](step, this.totalSteps, learningRate);
  }

  /** Returns the photos or arrays of step `step` of an epoch; both are counted from 0. */
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

/** Plan of a training on photos: order, learning rate and changes of each step. */
export class TrainingPlan extends OrderPlan<PlanSettings> {
  /** Returns the change of a photo for its width and height after step 2 of "Pixels" in docs/formats.md. */
  change(epoch: number, { photo, copy }: Place, photoSize: { width: number; height: number }): Change {
    const { seed, augmentation, size, centralFraction } = this.settings;
    const random = new Random([seed, epoch, photo + 1, ...(copy > 0 ? [copy] : [])]);
    return augmentation.draw(photoSize, size, random, centralFraction);
  }
}
