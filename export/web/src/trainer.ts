import { Augmentation } from "./augmentation.js";
import type { AugmentationSettings } from "./augmentation.js";
import { InputError, TrainingDiverged } from "./errors.js";
import { evaluate } from "./evaluate.js";
import type { EvaluateResult } from "./evaluate.js";
import { labelNumbers } from "./photo-set.js";
import type { LabeledPhoto } from "./photo-set.js";
import type { ProgressStore, StepRecord, TrainingProgress } from "./progress-store.js";
import { Random } from "./random.js";
import { SCHEDULES } from "./schedules.js";
import type { TrainableModel } from "./trainable-model.js";

/** How a training is done. */
export interface TrainerOptions {
  /** Passes over the photos, 1 or more. */
  readonly epochs?: number;
  /** Learning rate of step 0, above 0; by default what the manifest says. */
  readonly learningRate?: number;
  readonly schedule?: keyof typeof SCHEDULES;
  /** Chooses the order of the photos and their changes. */
  readonly seed?: number;
  /** How photos are changed; by default what the manifest says. */
  readonly augmentation?: AugmentationSettings;
  /** Photos that are not trained on: they are evaluated before the first step and after each epoch. */
  readonly heldOut?: readonly LabeledPhoto[];
  /** Where to save how far the training is. */
  readonly store?: ProgressStore;
  /** Steps between two saves. */
  readonly saveEvery?: number;
}

/** What a training is called with. */
export interface RunOptions {
  /** Ends the training after the step that runs, once that is saved: the signal's reason is thrown. */
  readonly signal?: AbortSignal;
  /** Whether to go on with the training in the store; otherwise one begins that replaces it. */
  readonly resume?: boolean;
  /** Called after each step. */
  readonly onStep?: (step: StepRecord, index: number, total: number) => void;
  /** Called after each epoch with the held-out photos' figures, if there are any. */
  readonly onEpoch?: (epoch: number, heldOut: EvaluateResult | undefined) => void;
}

/** What a training measured. */
export interface TrainingResult {
  /** On the held-out photos before the first step. */
  readonly before: EvaluateResult | undefined;
  /** The same after the last one. */
  readonly after: EvaluateResult | undefined;
  readonly steps: readonly StepRecord[];
  /** Mean loss of each epoch, over the steps that changed the model. */
  readonly losses: readonly number[];
}

/**
 * Trains a model on photos: epochs in random order, schedule, augmentation, held-out photos, cancel, go on.
 *
 * @example
 * const trainer = new Trainer(model, train, { epochs: 5, heldOut, store: new IndexedDbStore("photos") });
 * const result = await trainer.run({ signal: controller.signal, onStep: ({ loss }) => draw(loss) });
 */
export class Trainer {
  readonly #options: Required<Omit<TrainerOptions, "store" | "augmentation">>;
  readonly #store: ProgressStore | undefined;
  readonly #augmentation: Augmentation;
  readonly #settings: string;
  readonly #perEpoch: number;

  /**
   * @param model The model; it is changed.
   * @param photos What to train on.
   * @param options How.
   * @throws InputError If an option is out of range, there is no photo, or a label is none of the model's.
   */
  constructor(
    private readonly model: TrainableModel,
    private readonly photos: readonly LabeledPhoto[],
    options: TrainerOptions = {},
  ) {
    const { store, augmentation, ...rest } = options;
    this.#options = {
      epochs: 5,
      learningRate: model.manifest.learning_rate,
      schedule: "cosine",
      seed: 0,
      heldOut: [],
      saveEvery: 20,
      ...rest,
    };
    checkOptions(this.#options);
    if (photos.length === 0) {
      throw new InputError("expected photos to train on, got none; add photos");
    }
    for (const photo of [...photos, ...this.#options.heldOut]) {
      model.task.checkLabels(labelNumbers(photo), 1, model.numClasses);
    }
    this.#store = store;
    this.#augmentation = new Augmentation(augmentation ?? model.manifest.data);
    this.#perEpoch = Math.max(1, Math.floor(photos.length / model.batchSize));
    this.#settings = JSON.stringify({
      model: model.manifest.sha256,
      photos: photos.map(({ id, label }) => [id, label]),
      heldOut: this.#options.heldOut.map(({ id, label }) => [id, label]),
      epochs: this.#options.epochs,
      learningRate: this.#options.learningRate,
      schedule: this.#options.schedule,
      seed: this.#options.seed,
      augmentation: this.#augmentation.settings,
    });
  }

  /** Steps of the whole training. */
  get totalSteps(): number {
    return this.#options.epochs * this.#perEpoch;
  }

  /**
   * Trains.
   *
   * @throws TrainingDiverged If no step of an epoch could be applied.
   * @throws InputError If a photo cannot be read, or the training in the store cannot be gone on with.
   */
  async run(options: RunOptions = {}): Promise<TrainingResult> {
    const { signal } = options;
    const done = options.resume ? await this.#readBack() : await this.#begin(signal);
    const [steps, epochs] = [[...done.steps], [...done.epochs]];
    const save = async () => {
      await this.#store?.write({ ...done, steps, epochs, state: await this.model.save() });
    };
    try {
      for (let epoch = epochs.length; epoch < this.#options.epochs; epoch++) {
        const order = this.#order(epoch);
        for (let step = steps.length - epoch * this.#perEpoch; step < this.#perEpoch; step++) {
          signal?.throwIfAborted();
          steps.push(await this.#step(epoch, order, step, steps.length));
          options.onStep?.(steps.at(-1)!, steps.length - 1, this.totalSteps);
          if (steps.length % this.#options.saveEvery === 0) {
            await save();
          }
        }
        this.#meanLoss(steps, epoch);
        const figures = await this.#evaluate(signal);
        epochs.push(figures ?? NOTHING);
        options.onEpoch?.(epoch, figures);
      }
    } catch (error) {
      if (signal?.aborted) {
        await save();
      }
      throw error;
    }
    await this.#store?.remove();
    return {
      before: done.before,
      after: this.#options.heldOut.length > 0 ? epochs.at(-1) : undefined,
      steps,
      losses: epochs.map((_, epoch) => this.#meanLoss(steps, epoch)),
    };
  }

  async #begin(signal: AbortSignal | undefined): Promise<Omit<TrainingProgress, "state">> {
    await this.#store?.remove();
    return { settings: this.#settings, before: await this.#evaluate(signal), steps: [], epochs: [] };
  }

  async #readBack(): Promise<Omit<TrainingProgress, "state">> {
    if (!this.model.savesOptimizer) {
      throw new InputError(
        "the state of this model does not hold its optimizer's slots, so that a training that goes on would not end as " +
          "one that was not stopped; start it again, or export the model with --save_optimizer",
      );
    }
    const progress = await this.#store?.read();
    if (!progress) {
      throw new InputError("expected a training to go on with, found none; start one");
    }
    if (progress.settings !== this.#settings) {
      throw new InputError(
        "cannot go on: the model, the photos or a setting have changed; use the same, or start the training again",
      );
    }
    await this.model.restore(progress.state);
    return progress;
  }

  /** Positions of an epoch's photos in their order; of fewer photos than a batch the batch is filled up. */
  #order(epoch: number): number[] {
    const order = new Random([this.#options.seed, epoch, 0]).permutation(this.photos.length);
    const wanted = this.#perEpoch * this.model.batchSize;
    return Array.from({ length: wanted }, (_, position) => order[position % order.length]!);
  }

  async #step(epoch: number, order: readonly number[], step: number, index: number): Promise<StepRecord> {
    const { batchSize: count, imageSize } = this.model;
    const { seed, learningRate, schedule } = this.#options;
    const imageBytes = imageSize[0] * imageSize[1] * 3;
    const images = new Uint8Array(count * imageBytes);
    const labels: number[] = [];
    for (const [position, photo] of order.slice(step * count, (step + 1) * count).entries()) {
      const random = new Random([seed, epoch, photo + 1]);
      const pixels = await this.photos[photo]!.read();
      const fraction = this.model.manifest.input.central_fraction;
      images.set(this.#augmentation.apply(pixels, imageSize, random, fraction), position * imageBytes);
      labels.push(...labelNumbers(this.photos[photo]!));
    }
    const rate = SCHEDULES[schedule](index, this.totalSteps, learningRate);
    const started = performance.now();
    const result = await this.model.train(images, labels, rate);
    return { ...result, milliseconds: performance.now() - started };
  }

  #meanLoss(steps: readonly StepRecord[], epoch: number): number {
    const good = steps
      .slice(epoch * this.#perEpoch, (epoch + 1) * this.#perEpoch)
      .filter(({ applied }) => applied);
    if (good.length === 0) {
      throw new TrainingDiverged(
        `no step of epoch ${epoch + 1} could be applied: its loss or gradients are not finite; lower the learning rate ` +
          "or reset the model",
      );
    }
    return good.reduce((sum, { loss }) => sum + loss, 0) / good.length;
  }

  async #evaluate(signal: AbortSignal | undefined): Promise<EvaluateResult | undefined> {
    const { heldOut } = this.#options;
    return heldOut.length > 0 ? evaluate(this.model, heldOut, signal) : undefined;
  }
}

/** Stands for an epoch without held-out photos in the list of those that are done. */
const NOTHING: EvaluateResult = { accuracy: 0, loss: 0, examples: 0 };

function checkOptions(options: Required<Omit<TrainerOptions, "store" | "augmentation">>): void {
  const { epochs, saveEvery, seed, learningRate, schedule } = options;
  for (const [name, value, least] of [
    ["epochs", epochs, 1],
    ["saveEvery", saveEvery, 1],
    ["seed", seed, 0],
  ] as const) {
    if (!Number.isSafeInteger(value) || value < least) {
      throw new InputError(`expected ${name} that is a whole number of ${least} or more, got ${value}`);
    }
  }
  if (!(learningRate > 0 && Number.isFinite(learningRate))) {
    throw new InputError(`expected a finite learning rate above 0, got ${learningRate}`);
  }
  if (!Object.hasOwn(SCHEDULES, schedule)) {
    throw new InputError(`expected schedule of ${Object.keys(SCHEDULES).join(", ")}, got ${schedule}`);
  }
}
