import { RuntimeUnavailable, StateFile, TrainableModel } from "../src/index.js";
import { Turns } from "../src/turns.js";
import type { ModelFiles } from "./model-files.js";
import type { Storage } from "./storage.js";

/** The open model, and the access to it. */
export class Session {
  name = "";
  /** The exported state of the model, as a state file, for Reset. */
  exported: Uint8Array<ArrayBuffer> = new Uint8Array();
  /** Whether a training runs. */
  training = false;
  /** Whether another tab has the page's data: here one can look and try. */
  readOnly = false;
  /** Whether the model has been trained since the export. */
  hasLearned = false;
  #model: TrainableModel | undefined;
  readonly #turns = new Turns();
  readonly #listeners: (() => void)[] = [];

  constructor(private readonly storage: Storage) {}

  /** The model that is open, or nothing yet. */
  get open(): TrainableModel | undefined {
    return this.#model;
  }

  /** The model that is open. */
  get model(): TrainableModel {
    if (!this.#model) {
      throw new RuntimeUnavailable("expected an open model, got none; choose one in step 1");
    }
    return this.#model;
  }

  /** Whether photos, classes and the model must not change. */
  get locked(): boolean {
    return this.training || this.readOnly;
  }

  /** Calls `listener` when another model is open, or a training begins or ends. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Notifies all listeners. */
  changed(): void {
    this.#listeners.forEach((listener) => {
      listener();
    });
  }

  /** Opens a model and replaces the open one, which stays if the new one cannot be opened. */
  async load(files: ModelFiles): Promise<void> {
    const model = await load(files);
    await this.exclusively(async () => {
      const exported = await model.save();
      const learned = await this.storage.get("learned");
      if (learned?.sha256 === model.manifest.sha256) {
        await model.restore(learned.state);
      }
      this.hasLearned = learned?.sha256 === model.manifest.sha256 && differ(model, learned.state, exported);
      await this.#model?.delete();
      this.#model = model;
      this.exported = exported;
      this.name = files.name;
    });
    this.changed();
  }

  /** Gives the added classes in the model the user's names. */
  async nameAdded(names: readonly (readonly [label: number, name: string])[]): Promise<void> {
    await this.exclusively(async () => {
      for (const [label, name] of names) {
        await this.model.renameClass(label, name);
      }
    });
  }

  /** Stores the learned state, to restore it when the page is opened again. */
  async keepLearned(): Promise<void> {
    const { model } = this;
    const state = await this.exclusively(() => model.save());
    this.hasLearned = differ(model, state, this.exported);
    await this.storage.set("learned", { sha256: model.manifest.sha256, state });
  }

  /**
   * Runs work with exclusive access to the model. All code that reads or shows the learned state must use it: a
   * comparison puts the exported state into the model for a moment.
   */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.#turns.take(work);
  }
}

/** Whether two states of a model differ in learned values: zeros of both signs are the same. */
function differ(model: TrainableModel, one: Uint8Array, other: Uint8Array): boolean {
  const read = (file: Uint8Array) => StateFile.parse(file, model.fingerprint, model.stateSize);
  const [first, second] = [read(one), read(other)];
  return (
    first.addedClasses.length !== second.addedClasses.length ||
    first.values.some((value, index) => value !== second.values[index])
  );
}

/** With threads where the server has sent the headers that they need, and the browser has them. */
async function load({ model, manifest }: ModelFiles): Promise<TrainableModel> {
  try {
    return await TrainableModel.load(model, manifest, { threads: crossOriginIsolated });
  } catch (error) {
    if (crossOriginIsolated && error instanceof RuntimeUnavailable) {
      return TrainableModel.load(model, manifest);
    }
    throw error;
  }
}
