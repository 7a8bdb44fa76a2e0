import { appliedInWords } from "../src/divergence.js";
import {
  holdOut,
  IndexedDbStore,
  InputError,
  splitWarning,
  Trainer,
  TrainingDiverged,
} from "../src/index.js";
import type {
  ClassFigures,
  EvaluateResult,
  StepRecord,
  TrainingProgress,
  TrainingResult,
} from "../src/index.js";
import type { ClassList } from "./class-list.js";
import { confusionRows, showConfusion } from "./confusion.js";
import { Curve } from "./curve.js";
import { bar, barItem, byId, colorOf, create, megabytes, namesInWords, percent, showFacts } from "./dom.js";
import { attempt, calm, complain, say } from "./messages.js";
import type { Session } from "./session.js";
import type { Storage, StoredValues } from "./storage.js";

const STOPPED = new Error("stopped");
const WORTH_SHOWING = 0.05; // difference of accuracy and balanced accuracy

type ClassRecall = readonly [name: string, figures: ClassFigures | undefined, color: string];

/** Step 2: training, with its curve and figures. */
export class TrainPanel {
  readonly #curve = new Curve(byId("curve"));
  readonly #button = byId<HTMLButtonElement>("train");
  readonly #epochs = byId<HTMLInputElement>("epochs");
  readonly #rate = byId<HTMLInputElement>("rate");
  #controller: AbortController | undefined;
  #unfinished: TrainingProgress | undefined;
  #opened = "";

  constructor(
    private readonly session: Session,
    private readonly classes: ClassList,
    private readonly storage: Storage,
    private readonly stepDone: () => void,
  ) {
    this.#button.addEventListener("click", () => {
      attempt(() => this.#run());
    });
    byId("resume-go").addEventListener("click", () => {
      attempt(() => this.#run(this.#unfinished));
    });
    byId("resume-drop").addEventListener("click", () => {
      attempt(async () => {
        await this.#store().remove();
        this.#unfinished = undefined;
        this.show();
        this.#button.focus();
      });
    });
    byId("cancel").addEventListener("click", () => {
      this.#controller?.abort(STOPPED);
    });
    session.onChange(() => {
      attempt(() => this.#look());
    });
  }

  /** Shows whether one can train, and if not why. */
  show(): void {
    const missing = this.session.open ? this.classes.missing() : "Choose a model first.";
    const { training, locked } = this.session;
    this.#button.disabled = missing !== "" || locked;
    byId("train-why").textContent = locked ? "" : missing;
    byId("resume").hidden = !this.#unfinished || locked;
    byId<HTMLButtonElement>("resume-go").disabled = missing !== "";
    byId("cancel").hidden = !training;
    this.#button.hidden = training;
    for (const input of [this.#epochs, this.#rate]) {
      input.disabled = locked;
    }
  }

  /** A training of this model that was not finished, on this visit or before. */
  async #look(): Promise<void> {
    const { model } = this.session;
    if (this.#opened !== model.manifest.sha256) {
      this.#opened = model.manifest.sha256;
      this.#rate.value = String(model.manifest.learning_rate);
      byId("split-warning").textContent = splitWarning(model.manifest.data);
    }
    this.#unfinished = this.session.locked || !model.savesOptimizer ? undefined : await this.#store().read();
    if (this.#unfinished) {
      const { epochs, learningRate } = JSON.parse(this.#unfinished.settings) as StoredValues["settings"];
      [this.#epochs.value, this.#rate.value] = [String(epochs), String(learningRate)];
      const steps = this.#unfinished.steps.length;
      byId("resume-text").textContent =
        `A training was stopped after ${steps} ${steps === 1 ? "step" : "steps"}. It can continue with the same photos and settings.`;
    }
    this.show();
  }

  #store(): IndexedDbStore {
    return new IndexedDbStore(this.session.model.manifest.sha256);
  }

  async #run(unfinished?: TrainingProgress): Promise<void> {
    this.#controller = new AbortController();
    const { signal } = this.#controller;
    this.session.training = true;
    this.session.changed();
    byId("training").hidden = false;
    byId("compare-box").hidden = byId("score").hidden = true;
    byId("cancel").focus();
    const wakeLock = await keepAwake();
    let began = false;
    try {
      const trainer = await this.#prepare(signal);
      began = true;
      say("Training…");
      const result = await this.session.exclusively(() => this.#train(trainer, unfinished, signal));
      await this.#keep();
      this.#tell(result);
    } catch (error) {
      if (error !== STOPPED) {
        throw error;
      }
      if (began) {
        await this.#keep();
      }
      say(
        `Stopped.${began ? " The model keeps what it has learned so far, and you can continue the training." : ""}`,
      );
    } finally {
      this.session.training = false;
      this.session.changed();
      void wakeLock?.release();
      if (document.activeElement === document.body) {
        this.#button.focus();
      }
    }
  }

  /** Checks the photos before anything changes, and chooses the held-out ones. */
  async #prepare(signal: AbortSignal): Promise<Trainer> {
    const { model } = this.session;
    say("Reading the photos…");
    await this.classes.prepare(model.imageSize, signal);
    const missing = this.classes.missing();
    if (missing !== "") {
      throw new InputError(
        `${missing} This browser cannot read ${namesInWords(this.classes.unreadable)}: remove or replace them`,
      );
    }
    await this.#addClasses();
    const photos = this.classes.labeledPhotos(model.imageSize);
    const { train, heldOut } = holdOut(photos, model.manifest.data.split_seed, this.classes.trained);
    const trainer = new Trainer(model, train, {
      epochs: this.#epochs.valueAsNumber,
      learningRate: this.#rate.valueAsNumber,
      heldOut,
      ...(this.storage.problem ? {} : { store: this.#store() }),
    });
    await this.classes.markTrained(train.map(({ id }) => id));
    return trainer;
  }

  /** Trains; a training that fails leaves the model as it was before. */
  async #train(
    trainer: Trainer,
    unfinished: TrainingProgress | undefined,
    signal: AbortSignal,
  ): Promise<TrainingResult> {
    const { model } = this.session;
    const former = await model.save();
    this.#begin(trainer.totalSteps, unfinished);
    try {
      return await trainer.run({
        signal,
        resume: unfinished !== undefined,
        onStep: (step, index, total) => {
          this.#step(step, index, total);
        },
        onEpoch: (_, figures) => {
          if (figures) {
            this.#curve.addHeld(figures.loss);
            showScore(percent(figures.accuracy));
          }
        },
      });
    } catch (error) {
      if (error === STOPPED) {
        throw error;
      }
      await model.restore(former).catch(() => undefined); // the error of a dead runtime is reported instead
      throw error instanceof TrainingDiverged
        ? new TrainingDiverged(`${error.message} (here it is as it was before)`)
        : error;
    }
  }

  /** Adds the classes that the model lacks. A training that is resumed in another tab adds the same in the same order. */
  async #addClasses(): Promise<void> {
    const { model } = this.session;
    for (const entry of this.classes.newClasses) {
      this.classes.putOn(entry, await this.session.exclusively(() => model.addClass(entry.name)));
    }
  }

  /** Stores the learned state; a resumed training may have restored earlier names. */
  async #keep(): Promise<void> {
    await this.session.nameAdded(this.classes.addedNames);
    await this.session.keepLearned();
  }

  #begin(total: number, before: TrainingProgress | undefined): void {
    this.#curve.begin(total);
    this.#times = [];
    const perEpoch = before ? Math.max(1, Math.round(total / this.#epochs.valueAsNumber)) : 1;
    before?.steps.forEach(({ loss }, index) => {
      this.#curve.addLoss(loss);
      const figures = (index + 1) % perEpoch === 0 ? before.epochs[(index + 1) / perEpoch - 1] : undefined;
      if (figures) {
        this.#curve.addHeld(figures.loss);
      }
    });
    byId<HTMLProgressElement>("progress").value = (before?.steps.length ?? 0) / total;
  }

  #times: number[] = [];

  #step({ loss, milliseconds }: StepRecord, index: number, total: number): void {
    this.#curve.addLoss(loss);
    this.#times.push(milliseconds);
    byId<HTMLProgressElement>("progress").value = (index + 1) / total;
    byId("progress-label").textContent = `Step ${index + 1} of ${total}`;
    this.stepDone();
    const median = [...this.#times].sort((a, b) => a - b)[this.#times.length >> 1]!;
    void this.session.model
      .heapBytes()
      .then((heap) => {
        showFacts(byId("training-facts"), [
          ["Loss", loss.toFixed(3)],
          ["Time of a step", `${median.toFixed(0)} ms`],
          ["Memory of the runtime", megabytes(heap)],
        ]);
      })
      .catch(complain);
  }

  /** Shows the result of the training. */
  #tell({ before, after, steps }: TrainingResult): void {
    calm();
    const applied = steps.every((step) => step.applied) ? "" : ` (${appliedInWords(steps)})`;
    const { unreadable } = this.classes;
    const leftOut =
      unreadable.length > 0 ? ` Left out, since it cannot be read: ${namesInWords(unreadable)}.` : "";
    if (before && after) {
      this.#compare(before, after);
      const unknown = this.#recall(after)
        .filter(([, figures]) => !figures?.images)
        .map(([name]) => name);
      const without = unknown.length > 0 ? ` No photo is held out of ${namesInWords(unknown)}.` : "";
      say(
        `Done after ${steps.length} steps${applied}: ${percent(after.accuracy)} of the held-out photos are right, ` +
          `${percent(before.accuracy)} before.${without}${leftOut}`,
      );
    } else {
      say(
        `Done after ${steps.length} steps${applied}. Nothing is held out: add photos to see how well the model does.` +
          leftOut,
      );
    }
  }

  #compare(before: EvaluateResult, after: EvaluateResult): void {
    const rows = [
      ["Right", percent(before.accuracy), percent(after.accuracy)],
      ...([before, after].some(isUnbalanced)
        ? [["Right, mean of the classes", ...[before, after].map(balanced)]]
        : []),
      ["Loss", before.loss.toFixed(3), after.loss.toFixed(3)],
      ["Photos", String(before.examples), String(after.examples)],
    ];
    byId("compare").replaceChildren(
      ...rows.map(([name = "", ...values]) =>
        create(
          "tr",
          {},
          create("th", { scope: "row", textContent: name }),
          ...values.map((textContent) => create("td", { textContent })),
        ),
      ),
    );
    byId("recall").replaceChildren(
      ...this.#recall(after).map(([name, figures, color]) => {
        const words = figures?.images ? `${figures.right} of ${figures.images}` : "none held out";
        const item = barItem(name, words, bar(figures?.recall ?? 0));
        item.dataset.color = color;
        return item;
      }),
    );
    showConfusion(
      byId<HTMLTableElement>("confusion"),
      confusionRows(this.classes.classes, after.confusion ?? []),
    );
    showScore(`${percent(before.accuracy)} → ${percent(after.accuracy)}`);
    byId("compare-box").hidden = false;
  }

  /** Figures of the classes with photos, by the user's names. */
  #recall({ classes }: EvaluateResult): ClassRecall[] {
    return this.classes.classes
      .map((entry, index) => [entry, colorOf(index)] as const)
      .filter(([{ photos }]) => photos.length > 0)
      .map(([{ name, output }, color]) => [name, classes?.[output], color] as const);
  }
}

function showScore(text: string): void {
  byId("score-value").textContent = text;
  byId("score").hidden = false;
}

/** Whether rare classes make a difference that the accuracy does not show. */
function isUnbalanced({ accuracy, balancedAccuracy }: EvaluateResult): boolean {
  return balancedAccuracy !== undefined && Math.abs(accuracy - balancedAccuracy) > WORTH_SHOWING;
}

function balanced({ balancedAccuracy }: EvaluateResult): string {
  return balancedAccuracy === undefined ? "not known" : percent(balancedAccuracy);
}

/** A screen that turns itself off would stop the training of a phone. */
async function keepAwake(): Promise<WakeLockSentinel | undefined> {
  const { wakeLock } = navigator as { wakeLock?: WakeLock };
  return wakeLock?.request("screen").catch(() => undefined);
}
