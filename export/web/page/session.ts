import { RuntimeUnavailable, StateFile, TrainableModel } from "../src/index.js";
import { Turns } from "../src/turns.js";
import type { ModelFiles } from "./model-files.js";
import type { Storage } from "./storage.js";

/** The open model, and the access to it. */
export class Session {
  name = "";
  #files: ModelFiles | undefined;
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
      throw noModel();
    }
    return this.#model;
  }

  /** The files of the model that is open. */
  get files(): ModelFiles {
    if (!this.#files) {
      throw noModel();
    }
    return this.#files;
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

  /**
   * Opens a model and replaces the open one, which stays if the new one cannot be opened.
   *
   * @param files The model.
   * @param state What it has learned; by default what it has learned in this browser before.
   */
  async load(files: ModelFiles, state?: Uint8Array<ArrayBuffer>): Promise<void> {
    const model = await load(files);
    await this.exclusively(async () => {
      const exported = await model.save();
      const learned = state ?? (await this.#learned(model.manifest.sha256));
      if (learned) {
        try {
          await model.restore(learned);
        } catch (error) {
          await model.delete();
          throw error;
        }
      }
      this.hasLearned = learned !== undefined && differ(model, learned, exported);
      await this.#model?.delete();
      this.#model = model;
      this.exported = exported;
      this.#files = files;
      this.name = files.name;
    });
    this.changed();
  }

  async #learned(model: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const learned = await this.storage.get("learned");
    return learned?.sha256 === model ? learned.state : undefined;
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

function noModel(): RuntimeUnavailable {
  return new RuntimeUnavailable("expected an open model, got none; choose one in the menu at the top");
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
