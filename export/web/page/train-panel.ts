import { holdOut, IndexedDbStore, Trainer } from "../src/index.js";
import type { StepRecord, TrainingProgress, TrainingResult } from "../src/index.js";
import type { ClassList } from "./class-list.js";
import { Curve } from "./curve.js";
import { byId, create, megabytes, percent, showFacts } from "./dom.js";
import { attempt, calm, complain, say } from "./messages.js";
import type { Session } from "./session.js";
import type { Storage, StoredValues } from "./storage.js";

const STOPPED = new Error("stopped");

/** Step 3: training, with its curve and figures. */
export class TrainPanel {
  readonly #curve = new Curve(byId("curve"));
  readonly #train = byId<HTMLButtonElement>("train");
  readonly #epochs = byId<HTMLInputElement>("epochs");
  readonly #rate = byId<HTMLInputElement>("rate");
  #controller: AbortController | undefined;
  #unfinished: TrainingProgress | undefined;
  #opened = "";

  constructor(
    private readonly session: Session,
    private readonly classes: ClassList,
    private readonly storage: Storage,
  ) {
    this.#train.addEventListener("click", () => {
      attempt(() => this.#run(false));
    });
    byId("resume-go").addEventListener("click", () => {
      attempt(() => this.#run(true));
    });
    byId("resume-drop").addEventListener("click", () => {
      attempt(async () => {
        await this.#store().remove();
        this.#unfinished = undefined;
        this.show();
        this.#train.focus();
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
    const { training } = this.session;
    this.#train.disabled = missing !== "" || training;
    byId("train-why").textContent = training ? "" : missing;
    byId("resume").hidden = !this.#unfinished || training;
    byId<HTMLButtonElement>("resume-go").disabled = missing !== "";
    byId("cancel").hidden = !training;
    this.#train.hidden = training;
    for (const input of [this.#epochs, this.#rate]) {
      input.disabled = training;
    }
  }

  /** A training of this model that was not finished, on this visit or before. */
  async #look(): Promise<void> {
    const { model } = this.session;
    if (this.#opened !== model.manifest.sha256) {
      this.#opened = model.manifest.sha256;
      this.#rate.value = String(model.manifest.learning_rate);
    }
    this.#unfinished =
      this.session.training || !model.savesOptimizer ? undefined : await this.#store().read();
    if (this.#unfinished) {
      const { epochs, learningRate } = JSON.parse(this.#unfinished.settings) as StoredValues["settings"];
      [this.#epochs.value, this.#rate.value] = [String(epochs), String(learningRate)];
      const steps = this.#unfinished.steps.length;
      byId("resume-text").textContent =
        `A training was stopped after ${steps} ${steps === 1 ? "step" : "steps"}. It can go on with the same photos and settings.`;
    }
    this.show();
  }

  #store(): IndexedDbStore {
    return new IndexedDbStore(this.session.model.manifest.sha256);
  }

  async #run(resume: boolean): Promise<void> {
    const { model } = this.session;
    await this.#addClasses();
    const photos = this.classes.labeledPhotos(model.imageSize);
    const { train, heldOut } = holdOut(photos, 0);
    const trainer = new Trainer(model, train, {
      epochs: this.#epochs.valueAsNumber,
      learningRate: this.#rate.valueAsNumber,
      heldOut,
      ...(this.storage.problem ? {} : { store: this.#store() }),
    });
    this.#controller = new AbortController();
    const { signal } = this.#controller;
    this.session.training = true;
    this.session.changed();
    byId("training").hidden = false;
    byId("compare-box").hidden = true;
    byId("cancel").focus();
    const wakeLock = await keepAwake();
    say("Training…");
    try {
      const result = await this.session.exclusively(async () => {
        this.#begin(trainer.totalSteps, resume ? this.#unfinished : undefined);
        return trainer.run({
          signal,
          resume,
          onStep: (step, index, total) => {
            this.#step(step, index, total);
          },
          onEpoch: (_, figures) => {
            if (figures) {
              this.#curve.addHeld(figures.loss);
            }
          },
        });
      });
      await this.#keep();
      this.#compare(result);
    } catch (error) {
      if (error !== STOPPED) {
        throw error;
      }
      await this.#keep();
      say("Stopped. What was learned so far is there; the training can go on.");
    } finally {
      this.session.training = false;
      this.session.changed();
      void wakeLock?.release();
      if (document.activeElement === document.body) {
        this.#train.focus();
      }
    }
  }

  /** Adds the classes that the model lacks. A training that goes on in another tab adds the same in the same order. */
  async #addClasses(): Promise<void> {
    const { model } = this.session;
    for (const entry of this.classes.newClasses) {
      this.classes.putOn(entry, await this.session.exclusively(() => model.addClass(entry.name)));
    }
  }

  /** Stores what was learned; a training that went on may have brought names of before. */
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

  #compare({ before, after, steps }: TrainingResult): void {
    if (!before || !after) {
      return;
    }
    const rows = [
      ["Right", percent(before.accuracy), percent(after.accuracy)],
      ["Loss", before.loss.toFixed(3), after.loss.toFixed(3)],
      ["Photos", String(before.examples), String(after.examples)],
    ] as const;
    byId("compare").replaceChildren(
      ...rows.map(([name, ...values]) =>
        create(
          "tr",
          {},
          create("th", { scope: "row", textContent: name }),
          ...values.map((textContent) => create("td", { textContent })),
        ),
      ),
    );
    byId("compare-box").hidden = false;
    calm();
    say(
      `Done after ${steps.length} steps: ${percent(after.accuracy)} of the held-out photos are right, ` +
        `${percent(before.accuracy)} before.`,
    );
  }
}

/** A screen that turns itself off would stop the training of a phone. */
async function keepAwake(): Promise<WakeLockSentinel | undefined> {
  const { wakeLock } = navigator as { wakeLock?: WakeLock };
  return wakeLock?.request("screen").catch(() => undefined);
}
