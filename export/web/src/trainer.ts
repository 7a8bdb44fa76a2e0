import { applyChange, Augmentation } from "./augmentation.js";
import type { AugmentationSettings } from "./augmentation.js";
import { checkLoss, checkSteps } from "./divergence.js";
import { InputError, TrainingDiverged } from "./errors.js";
import { evaluate } from "./evaluate.js";
import type { EvaluateResult } from "./evaluate.js";
import { checkExamples, kindOf } from "./examples.js";
import type { Examples } from "./examples.js";
import { checkArray } from "./labeled-array.js";
import type { LabeledArray } from "./labeled-array.js";
import { labelNumbers } from "./photo-set.js";
import type { LabeledPhoto } from "./photo-set.js";
import { OrderPlan, TrainingPlan } from "./plan.js";
import type { Place } from "./plan.js";
import type { ProgressStore, StepRecord, TrainingProgress } from "./progress-store.js";
import { mean } from "./recall.js";
import { SCHEDULES } from "./schedules.js";
import type { TrainableModel } from "./trainable-model.js";

/** Options of a training on photos or arrays. */
interface CommonOptions {
  /** Number of passes over the photos or arrays, 1 or more. */
  readonly epochs?: number;
  /** Learning rate of step 0, above 0; by default the manifest's. */
  readonly learningRate?: number;
  /** Schedule of the learning rate; by default the manifest's. */
  readonly schedule?: keyof typeof SCHEDULES;
  /** Seed of the order and of the changes of photos. */
  readonly seed?: number;
  /** Storage of the progress. */
  readonly store?: ProgressStore;
  /** Number of steps between two saves. */
  readonly saveEvery?: number;
}

/** Options of a training on photos. */
export interface TrainerOptions extends CommonOptions {
  /** Changes of photos; by default the manifest's settings. */
  readonly augmentation?: AugmentationSettings;
  /** Held-out photos, which are evaluated before the first step and after each epoch. */
  readonly heldOut?: readonly LabeledPhoto[];
}

/** Options of a training on arrays, which are not changed. */
export interface ArrayTrainerOptions extends CommonOptions {
  readonly augmentation?: never;
  /** Held-out arrays, which are evaluated before the first step and after each epoch. */
  readonly heldOut?: readonly LabeledArray[];
}

/** Options of a run of a training. */
export interface RunOptions {
  /** Stops the training after the current step and saves the progress, then throws the signal's reason. */
  readonly signal?: AbortSignal;
  /** Whether to resume the training in the store; otherwise a new training replaces it. */
  readonly resume?: boolean;
  /** Called after each step. */
  readonly onStep?: (step: StepRecord, index: number, total: number) => void;
  /** Called after each epoch with the figures of held-out examples, if any. */
  readonly onEpoch?: (epoch: number, heldOut: EvaluateResult | undefined) => void;
}

/** Results of a training. */
export interface TrainingResult {
  /** Results on the held-out photos or arrays before the first step. */
  readonly before: EvaluateResult | undefined;
  /** Results on the held-out photos or arrays after the last step. */
  readonly after: EvaluateResult | undefined;
  readonly steps: readonly StepRecord[];
  /** Mean loss of each epoch over all steps with a finite loss; undefined if no loss is finite. */
  readonly losses: readonly (number | undefined)[];
}

/**
 * Trains a model on photos or arrays, with epochs in random order, a schedule, augmentation of photos and held-out
 * examples. A training can be canceled and resumed.
 *
 * @example
 * const trainer = new Trainer(model, train, { epochs: 5, heldOut, store: new IndexedDbStore("photos") });
 * const result = await trainer.run({ signal: controller.signal, onStep: ({ loss }) => draw(loss) });
 */
export class Trainer {
  readonly #options: Settings;
  readonly #store: ProgressStore | undefined;
  readonly #plan: OrderPlan;
  /** The plan with changes of photos, unless the model takes arrays. */
  readonly #photoPlan: TrainingPlan | undefined;
  readonly #settings: string;

  /**
   * @param model The model to train.
   * @param examples Training examples: photos, or arrays for a model of arrays.
   * @param options Settings.
   * @throws InputError If an option is out of range, there are no examples, or an example or its label does not fit the
   *   model; nothing runs then.
   */
  constructor(model: TrainableModel, examples: readonly LabeledPhoto[], options?: TrainerOptions);
  constructor(model: TrainableModel, examples: readonly LabeledArray[], options?: ArrayTrainerOptions);
  constructor(
    private readonly model: TrainableModel,
    private readonly examples: Examples,
    options: TrainerOptions | ArrayTrainerOptions = {},
  ) {
    const { store, augmentation, ...rest } = options;
    const { manifest, batchSize } = model;
    this.#options = {
      epochs: 5,
      learningRate: manifest.learning_rate,
      schedule: manifest.schedule,
      seed: 0,
      heldOut: [],
      saveEvery: 20,
      ...rest,
    };
    checkOptions(this.#options);
    const ofArrays = model.inputName === "array";
    const kind = kindOf(model);
    if (examples.length === 0) {
      throw new InputError(`expected ${kind} to train on, got none; add ${kind}`);
    }
    if (ofArrays && augmentation) {
      throw new InputError(
        "expected no augmentation for a model of arrays, which are never changed, got one; leave it out",
      );
    }
    checkExamples(model, examples);
    checkExamples(model, this.#options.heldOut);
    this.#store = store;
    const { epochs, seed, learningRate, schedule } = this.#options;
    const order = { photos: examples.length, batchSize, epochs, seed, learningRate, schedule };
    // A model of arrays has no settings of photos.
    const changes = ofArrays
      ? undefined
      : { augmentation: augmentation ?? model.augmentation, centralFraction: model.centralFraction };
    this.#photoPlan =
      changes &&
      new TrainingPlan({
        ...order,
        augmentation: new Augmentation(changes.augmentation),
        size: model.imageSize,
        centralFraction: changes.centralFraction,
      });
    this.#plan = this.#photoPlan ?? new OrderPlan(order);
    this.#settings = JSON.stringify({
      ...{ model: manifest.sha256, epochs, learningRate, schedule, seed },
      centralFraction: changes?.centralFraction,
      augmentation: changes?.augmentation,
      photos: examples.map(({ id, label }) => [id, label]),
      heldOut: this.#options.heldOut.map(({ id, label }) => [id, label]),
    } satisfies Record<keyof ReturnType<typeof settingsInWords>, unknown>);
  }

  /** Number of steps of the complete training. */
  get totalSteps(): number {
    return this.#plan.totalSteps;
  }

  /**
   * Trains.
   *
   * @throws TrainingDiverged If more than half of the steps of an epoch were not applied, or the loss is far higher
   *   after the training than before. The model is then as the training left it.
   * @throws InputError If a photo cannot be read, an array has changed, or the training in the store cannot be
   *   resumed.
   */
  async run(options: RunOptions = {}): Promise<TrainingResult> {
    const work = () => this.#run(options);
    return this.#store?.exclusively ? this.#store.exclusively(work) : work();
  }

  async #run(options: RunOptions): Promise<TrainingResult> {
    const { signal } = options;
    const done = options.resume ? await this.#readBack() : await this.#begin(signal);
    const [steps, epochs] = [[...done.steps], [...done.epochs]];
    const { stepsPerEpoch } = this.#plan;
    const stepsOf = (epoch: number) => steps.slice(epoch * stepsPerEpoch, (epoch + 1) * stepsPerEpoch);
    const save = async () => {
      await this.#store?.write({ ...done, steps, epochs, state: await this.model.save() });
    };
    try {
      for (let epoch = epochs.length; epoch < this.#options.epochs; epoch++) {
        for (let step = steps.length - epoch * stepsPerEpoch; step < stepsPerEpoch; step++) {
          signal?.throwIfAborted();
          steps.push(await this.#step(epoch, step, steps.length));
          options.onStep?.(steps.at(-1)!, steps.length - 1, this.totalSteps);
          checkSteps(stepsOf(epoch), stepsPerEpoch, epoch);
          if (steps.length % this.#options.saveEvery === 0) {
            await save();
          }
        }
        const figures = await this.#evaluate(signal);
        if (done.before && figures) {
          this.#checkLoss(done.before.loss, figures.loss, steps);
        }
        epochs.push(figures);
        options.onEpoch?.(epoch, figures);
      }
      if (!done.before) {
        const last = stepsOf(this.#options.epochs - 1).filter(({ applied }) => applied);
        this.#checkLoss(steps[0]!.loss, meanLoss(last) ?? NaN, steps);
      }
    } catch (error) {
      if (error instanceof TrainingDiverged) {
        await this.#store?.remove();
      } else if (signal?.aborted) {
        await save();
      }
      throw error;
    }
    await this.#store?.remove();
    const losses = epochs.map((_, epoch) => meanLoss(stepsOf(epoch)));
    return { before: done.before, after: epochs.at(-1), steps, losses };
  }

  async #begin(signal: AbortSignal | undefined): Promise<Omit<TrainingProgress, "state">> {
    await this.#store?.remove();
    return { settings: this.#settings, before: await this.#evaluate(signal), steps: [], epochs: [] };
  }

  async #readBack(): Promise<Omit<TrainingProgress, "state">> {
    if (!this.model.savesOptimizer) {
      throw new InputError(
        "the state of this model does not hold its optimizer's slots, so that a resumed training would not end as " +
          "one that was not stopped; start it again, or export the model with --save_optimizer",
      );
    }
    const progress = await this.#store?.read();
    if (!progress) {
      throw new InputError("expected a training to resume, found none; start a new one");
    }
    const changed = changedSettings(progress.settings, this.#settings, kindOf(this.model));
    if (changed.length > 0) {
      throw new InputError(
        `cannot resume: ${changed.join(", ")} changed since the training was stopped; use the same, or start the ` +
          "training again",
      );
    }
    await this.model.restore(progress.state);
    return progress;
  }

  async #step(epoch: number, step: number, index: number): Promise<StepRecord> {
    const { inputName, inputShape } = this.model;
    const length = inputShape.reduce((product, size) => product * size, 1);
    const places = this.#plan.places(epoch, step);
    const inputs = new (inputName === "array" ? Float32Array : Uint8Array)(places.length * length);
    const labels: number[] = [];
    for (const [position, place] of places.entries()) {
      inputs.set(await this.#input(epoch, place), position * length);
      labels.push(...labelNumbers(this.examples[place.photo]!));
    }
    const started = performance.now();
    const result = await this.model.train(inputs, labels, this.#plan.rate(index));
    return { ...result, milliseconds: performance.now() - started };
  }

  /** Returns the changed pixels of a photo, or the numbers of an array. */
  async #input(epoch: number, place: Place): Promise<Uint8Array | Float32Array> {
    const example = this.examples[place.photo]!;
    if ("array" in example) {
      checkArray("an array", example.array, this.model.inputShape); // the caller may have changed or transferred it
      return example.array;
    }
    const photo = await example.read();
    return applyChange(photo, this.model.imageSize, this.#photoPlan!.change(epoch, place, photo));
  }

  #checkLoss(before: number, after: number, steps: readonly StepRecord[]): void {
    checkLoss(before, after, this.model.task.guessLoss(this.model.numClasses), steps);
  }

  async #evaluate(signal: AbortSignal | undefined): Promise<EvaluateResult | undefined> {
    const { heldOut } = this.#options;
    return heldOut.length > 0 ? evaluate(this.model, heldOut, signal) : undefined;
  }
}

/** Options of a training with all defaults. */
type Settings = Required<Omit<CommonOptions, "store">> & { readonly heldOut: Examples };

/** Settings that affect the results of a training, with their names in errors. */
const settingsInWords = (kind: string) => ({
  model: "the model",
  photos: `the ${kind} to train on (their content, labels or order)`,
  heldOut: `the held-out ${kind} (their content, labels or order)`,
  epochs: "the number of epochs",
  learningRate: "the learning rate",
  schedule: "the schedule",
  seed: "the seed",
  centralFraction: "the central fraction of the manifest",
  augmentation: "the augmentation",
});

/** Returns the names of the settings that differ between two trainings. */
function changedSettings(stored: string, current: string, kind: string): string[] {
  const [one, other] = [stored, current].map((text) => JSON.parse(text) as Record<string, unknown>);
  return Object.entries(settingsInWords(kind))
    .filter(([key]) => JSON.stringify(one![key]) !== JSON.stringify(other![key]))
    .map(([, words]) => words);
}

function meanLoss(steps: readonly StepRecord[]): number | undefined {
  return mean(steps.map(({ loss }) => loss).filter(Number.isFinite));
}

function checkOptions(options: Settings): void {
  const { epochs, saveEvery, seed, learningRate, schedule } = options;
  for (const [name, value, least] of [
    ["epochs", epochs, 1],
    ["saveEvery", saveEvery, 1],
    ["seed", seed, 0],
  ] as const) {
    if (!Number.isSafeInteger(value) || value < least) {
      throw new InputError(
        `expected ${name} to be an integer of ${least} or more, got ${value}; change it or leave it out`,
      );
    }
  }
  if (!(learningRate > 0 && Number.isFinite(learningRate))) {
    throw new InputError(
      `expected a finite learning rate above 0, got ${learningRate}; leave it out to use the manifest's`,
    );
  }
  if (!Object.hasOwn(SCHEDULES, schedule)) {
    throw new InputError(
      `expected schedule to be one of ${Object.keys(SCHEDULES).join(", ")}, got ${schedule}; change it`,
    );
  }
}
