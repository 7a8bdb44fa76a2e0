import type { AugmentationSettings } from "./augmentation.js";
import { copyBytes } from "./bytes.js";
import type { FileContent } from "./bytes.js";
import { checkContract } from "./contract.js";
import type { Sizes } from "./contract.js";
import type { Engine, TensorData, Tensors } from "./engine.js";
import { InputError } from "./errors.js";
import { checkArray, describe } from "./labeled-array.js";
import { inputName, parseManifest, stateSize } from "./manifest.js";
import type { ImageManifest, Manifest } from "./manifest.js";
import { checkNames, enteredName } from "./names.js";
import { sha256, toHex } from "./sha256.js";
import { checkAdded, checkClasses, checkSlots, classifier } from "./state-check.js";
import { checkFinite, StateFile } from "./state-file.js";
import { TASKS } from "./tasks.js";
import type { Labels, Task } from "./tasks.js";
import { Turns } from "./turns.js";
import { WorkerEngine } from "./worker-engine.js";

const LARGEST_FLOAT32 = 3.4028234663852886e38;

/** Location and options of the runtime. */
export interface LoadOptions {
  /** Folder with the files of `@litertjs/core/wasm`, by default `wasm/` next to the page. */
  readonly wasm?: string | URL;
  /** URL of the package's `worker.js`, by default next to the script with the package; `false` for no worker. */
  readonly worker?: string | URL | false;
  /** Whether to use LiteRT's build with threads, which needs a cross-origin isolated page. */
  readonly threads?: boolean;
  /** A running engine, which then belongs to the model. */
  readonly engine?: Engine;
}

/** Results of one training step. */
export interface TrainResult {
  /** Mean loss of the batch before the step. */
  readonly loss: number;
  /**
   * Share of the batch (with several attributes, of its attributes) with a correct prediction before the step, 0 to 1;
   * for a regression the share of the predictions within 0.5 of their labels.
   */
  readonly accuracy: number;
  /** False if the step changed nothing because the loss or a gradient was not finite. */
  readonly applied: boolean;
}

/** The prediction for one image or array. */
export interface InferResult {
  /** C numbers; for a regression the predicted numbers. */
  readonly logits: Float32Array;
  /**
   * Softmax of the logits, or the sigmoid of each logit if images have several attributes; for a regression the same as
   * `logits`.
   */
  readonly probabilities: Float32Array;
}

/**
 * A `.tflite` from `tinytl export` that infers and keeps training in the browser.
 *
 * Calls run one after the other in the order in which they are made, awaited or not; arrays are copied, so
 * you can reuse them at once. A call that throws does not change the model.
 *
 * @example
 * const model = await TrainableModel.load(tflite, manifest, { wasm: "/litert/" });
 * const { loss } = await model.train(images, labels, 1e-3); // pixels of B images, or B float arrays; B classes
 * const { probabilities } = await model.infer(image); // or an array
 * const file = await model.saveBlob(); // mine.tinytl
 * await model.delete();
 */
export class TrainableModel {
  #added: readonly string[] = [];
  readonly #turns = new Turns();

  private constructor(
    private readonly engine: Engine,
    /** Manifest of the file. */
    readonly manifest: Manifest,
    /** SHA-256 of the `.tflite`, 32 bytes; a state file belongs to it. */
    readonly fingerprint: Uint8Array<ArrayBuffer>,
    private readonly sizes: Sizes,
  ) {}

  /**
   * Loads a model.
   *
   * @param model Content of the `.tflite`.
   * @param manifest Content of its `.manifest.json`: text, the parsed value, or a file.
   * @param options Location and options of the runtime.
   * @throws InputError If the two do not belong together, or have a different contract.
   * @throws RuntimeUnavailable If the browser cannot run it.
   */
  static async load(
    model: FileContent,
    manifest: string | object | Blob,
    options: LoadOptions = {},
  ): Promise<TrainableModel> {
    const parsed = parseManifest(manifest instanceof Blob ? await manifest.text() : manifest);
    const bytes = await copyBytes(model);
    const fingerprint = await sha256(bytes);
    if (toHex(fingerprint) !== parsed.sha256) {
      throw new InputError(
        `expected the model with SHA-256 ${parsed.sha256.slice(0, 16)}... of its manifest, got ` +
          `${toHex(fingerprint).slice(0, 16)}...; choose both files of one export`,
      );
    }
    const engine = options.engine ?? (await startEngine(options));
    try {
      const sizes = checkContract(await engine.open(bytes), parsed);
      checkManifest(parsed, sizes);
      return new TrainableModel(engine, parsed, fingerprint, sizes);
    } catch (error) {
      await engine.close();
      throw error;
    }
  }

  /** B: number of images or arrays in a training step. */
  get batchSize(): number {
    return this.sizes.B;
  }

  /** Input of the model: raw pixels of images, or float arrays. */
  get inputName(): "image" | "array" {
    return this.manifest.input ? "image" : "array";
  }

  /** Shape of one input: [H, W, 3], or 1 to 3 sizes of an array. */
  get inputShape(): readonly number[] {
    return this.manifest.input ? [...this.imageSize, 3] : this.manifest.inputs.array.shape;
  }

  /** Samples per second of a waveform, see `waveform`; 0 for all other inputs. */
  get sampleRate(): number {
    return this.manifest.input ? 0 : (this.manifest.inputs.array.sample_rate ?? 0);
  }

  /**
   * [H, W] of an image in pixels.
   *
   * @throws InputError If the model takes arrays.
   */
  get imageSize(): readonly [number, number] {
    return this.#imageManifest("imageSize").input.size;
  }

  /**
   * The manifest's `central_fraction`: the fraction of each side of a photo, around its center, that is used in an
   * evaluation.
   *
   * @throws InputError If the model takes arrays.
   */
  get centralFraction(): number {
    return this.#imageManifest("centralFraction").input.central_fraction;
  }

  /**
   * The manifest's settings for changes of training images.
   *
   * @throws InputError If the model takes arrays.
   */
  get augmentation(): AugmentationSettings {
    return this.#imageManifest("augmentation").data;
  }

  #imageManifest(what: string): ImageManifest {
    if (!this.manifest.input) {
      throw new InputError(
        `expected a model of images for ${what}, got one of arrays of ${this.inputShape.join(" x ")}; leave ` +
          `${what} out`,
      );
    }
    return this.manifest;
  }

  /** Number of classes or attributes in use: the outputs that are not spare. */
  get numClasses(): number {
    return this.sizes.C - this.spareClasses;
  }

  /** Number of classes that `addClass` can still add. */
  get spareClasses(): number {
    return this.manifest.spare_classes - this.#added.length;
  }

  /** N: number of values in the state. */
  get stateSize(): number {
    return this.sizes.N;
  }

  /** Names of the classes or attributes, in the order of the outputs, including added classes. */
  get classNames(): readonly string[] {
    return [...this.manifest.labels, ...this.#added];
  }

  /** Task of the labels. */
  get task(): Task {
    return TASKS[this.manifest.task];
  }

  /** Whether the state holds all that training continues from: the optimizer has no slots, or they are in it. */
  get savesOptimizer(): boolean {
    return this.manifest.optimizer === "sgd" || this.manifest.state.some((part) => part.slot !== "");
  }

  /**
   * Takes one training step.
   *
   * @param inputs Raw RGB pixels of B images, one after the other, B * H * W * 3 bytes; for a model of arrays the
   *   finite numbers of B arrays, each in row-major order.
   * @param labels Indices of B classes; with several attributes B * C numbers from 0 to 1; for a regression B * C
   *   finite numbers.
   * @param learningRate Finite, not negative.
   */
  async train(inputs: Uint8Array | Float32Array, labels: Labels, learningRate: number): Promise<TrainResult> {
    const { B } = this.sizes;
    const copy = this.#copyInput(`${this.inputName}s`, inputs, [B, ...this.inputShape]);
    if (!(learningRate >= 0 && learningRate <= LARGEST_FLOAT32)) {
      throw new InputError(`expected a learning rate that is finite and not negative, got ${learningRate}`);
    }
    const given = Array.from(labels);
    return this.#turns.take(async () => {
      this.task.checkLabels(given, B, this.numClasses);
      const outputs = await this.engine.run("train", {
        [this.inputName]: copy,
        label: this.task.labelDtype === "int32" ? Int32Array.from(given) : Float32Array.from(given),
        learning_rate: Float32Array.of(learningRate),
      });
      return {
        loss: first(outputs, "loss"),
        accuracy: first(outputs, "accuracy"),
        applied: first(outputs, "applied") !== 0,
      };
    });
  }

  /**
   * Runs inference on one image or array.
   *
   * @param input Raw RGB pixels, H * W * 3 bytes; for a model of arrays finite numbers in row-major order.
   */
  async infer(input: Uint8Array | Float32Array): Promise<InferResult> {
    const copy = this.#copyInput(`an ${this.inputName}`, input, this.inputShape);
    return this.#turns.take(async () => {
      const outputs = await this.engine.run("infer", { [this.inputName]: copy });
      const used = this.numClasses;
      return {
        logits: floats(outputs, "logits").slice(0, used),
        probabilities: floats(outputs, "probabilities").slice(0, used),
      };
    });
  }

  #copyInput(what: string, input: Uint8Array | Float32Array, shape: readonly number[]): TensorData {
    if (this.inputName === "array") {
      checkArray(what, input, shape);
      return new Float32Array(input);
    }
    checkPixels(what, input, shape);
    return new Uint8Array(input);
  }

  /**
   * Gives a spare output to a new class, which then trains like all other classes.
   *
   * Its weights start as the mean of the other classes' weights.
   *
   * @param name Name of the class, not one of `classNames`; it is converted to Unicode's form NFC.
   * @returns The label of the class.
   * @throws InputError If no spare output is left, or the name is taken or invalid; the model is unchanged.
   */
  addClass(name: string): Promise<number> {
    return this.#turns.take(async () => {
      if (this.spareClasses < 1) {
        throw new InputError(
          "expected a spare output for another class, got none: the model was exported with " +
            `${this.manifest.spare_classes}; export it with more --spare_classes`,
        );
      }
      const added = [...this.#added, enteredName(name, this.classNames)];
      checkNames(added, this.manifest.labels);
      const label = this.numClasses;
      const state = await this.#state();
      for (const weights of classifier(state, this.manifest)) {
        for (let row = 0; row < weights.length; row += this.sizes.C) {
          weights[row + label] =
            weights.subarray(row, row + label).reduce((sum, value) => sum + value, 0) / label;
        }
      }
      await this.#set(state, added);
      return label;
    });
  }

  /**
   * Renames an added class.
   *
   * @param label Result of `addClass`.
   * @param name New name, different from all other names; it is converted to Unicode's form NFC.
   * @throws InputError If the label is not that of an added class, or the name is taken or invalid; the model is
   *   unchanged.
   */
  renameClass(label: number, name: string): Promise<void> {
    return this.#turns.take(() => {
      const own = this.manifest.labels.length;
      if (!(label >= own && label < this.numClasses)) {
        throw new InputError(
          `expected the label of an added class, got ${label}; labels below ${own} are those of exported classes`,
        );
      }
      if (name === this.classNames[label]) {
        return; // keeps the bytes of the file, in any form of Unicode
      }
      const others = this.classNames.filter((_, index) => index !== label);
      const entered = enteredName(name, others);
      const added = this.#added.map((old, index) => (index === label - own ? entered : old));
      checkNames(added, this.manifest.labels);
      this.#added = added;
    });
  }

  /** Returns a copy of all values that training changes, N values. */
  state(): Promise<Float32Array<ArrayBuffer>> {
    return this.#turns.take(() => this.#state());
  }

  async #state(): Promise<Float32Array<ArrayBuffer>> {
    return floats(await this.engine.run("save", {}), "state");
  }

  /**
   * Replaces all values that training changes.
   *
   * @param state N finite values from `state`.
   * @throws InputError If the state is invalid; the model is unchanged.
   */
  async setState(state: Float32Array): Promise<void> {
    this.#checkState(state);
    const copy = new Float32Array(state);
    return this.#turns.take(() => this.#set(copy, this.#added));
  }

  #checkState(state: Float32Array): void {
    if (!(state instanceof Float32Array) || state.length !== this.stateSize) {
      throw new InputError(`expected a state of ${this.stateSize} float32 values, got ${describe(state)}`);
    }
  }

  /** Replaces the state and the added classes. */
  async #set(state: Float32Array<ArrayBuffer>, added: readonly string[]): Promise<void> {
    checkFinite(state, "cannot set the state");
    checkSlots(state, this.manifest);
    checkClasses(state, this.manifest, added.length, "cannot set the state");
    const outputs = await this.engine.run("restore", { state });
    if (first(outputs, "restored") === 0) {
      throw new InputError(
        "cannot set the state: no training leads to it (its values add up to over 1e15); use another copy, or reset " +
          "the model and train with a lower learning rate",
      );
    }
    this.#added = added;
  }

  /** Returns the content of a `.tinytl` file. */
  save(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#turns.take(async () =>
      new StateFile(this.fingerprint, await this.#state(), this.#added).toBytes(),
    );
  }

  /** Returns a `.tinytl` file to download or store. */
  async saveBlob(): Promise<Blob> {
    return new Blob([await this.save()], { type: "application/octet-stream" });
  }

  /**
   * Sets the state from a `.tinytl` file that any client has saved from a copy of this model.
   *
   * @param file Content of the file.
   * @throws InputError If it is damaged or belongs to another model; the model is unchanged.
   */
  restore(file: FileContent): Promise<void> {
    const name = file instanceof File ? file.name : "the state file";
    const content = copyBytes(file);
    content.catch(() => undefined); // it is awaited when this call runs
    return this.#turns.take(async () => {
      const saved = StateFile.parse(await content, this.fingerprint, this.stateSize, name);
      checkAdded(saved.addedClasses, this.manifest, name);
      await this.#set(saved.values, saved.addedClasses);
    });
  }

  /** Restores the exported state and classes. */
  reset(): Promise<void> {
    return this.#turns.take(async () => {
      await this.engine.run("reset", {});
      this.#added = [];
    });
  }

  /** Memory of the runtime in bytes, which only grows. */
  heapBytes(): Promise<number> {
    return this.engine.heapBytes();
  }

  /** Frees the model and its runtime after all earlier calls. */
  delete(): Promise<void> {
    return this.#turns.take(() => this.engine.close());
  }
}

async function startEngine(options: LoadOptions): Promise<Engine> {
  const settings = {
    wasm: new URL(options.wasm ?? "wasm/", document.baseURI).href,
    threads: options.threads ?? false,
  };
  if (options.worker === false) {
    const { LocalEngine } = await import("./local-engine.js");
    return LocalEngine.start(settings);
  }
  return WorkerEngine.start(settings, options.worker ?? new URL("./worker.js", import.meta.url));
}

/** Checks the sizes in the manifest. Its hash matches the file, so that a difference is a bug of the exporter. */
function checkManifest(manifest: Manifest, sizes: Sizes): void {
  const pairs: (readonly [string, number, number])[] = [
    ["labels and spare classes", manifest.labels.length + manifest.spare_classes, sizes.C],
    [`${inputName(manifest)}s of a batch`, manifest.batch_size, sizes.B],
    ["values of the state", stateSize(manifest), sizes.N],
  ];
  if (manifest.input) {
    pairs.push(
      ["pixels of height", manifest.input.size[0], sizes.H!],
      ["pixels of width", manifest.input.size[1], sizes.W!],
    );
  }
  for (const [what, said, is] of pairs) {
    if (said !== is) {
      throw new InputError(`expected ${is} ${what} in the manifest, got ${said}; export the model again`);
    }
  }
  if (manifest.inputs && "image" in manifest.inputs) {
    const [said, is] = [manifest.inputs.image.shape.join(" x "), [sizes.H, sizes.W, 3].join(" x ")];
    if (said !== is) {
      throw new InputError(
        `expected ${is} as inputs.image.shape in the manifest, got ${said}; export the model again`,
      );
    }
  }
}

function checkPixels(what: string, pixels: unknown, shape: readonly number[]): void {
  const expected = shape.reduce((product, size) => product * size, 1);
  if (!(pixels instanceof Uint8Array) || pixels.length !== expected) {
    throw new InputError(
      `expected ${what} of ${shape.join(" x ")} = ${expected} bytes, got ${describe(pixels)}`,
    );
  }
}

function floats(outputs: Tensors, name: string): Float32Array<ArrayBuffer> {
  return outputs[name] as Float32Array<ArrayBuffer>;
}

function first(outputs: Tensors, name: string): number {
  return outputs[name]![0]!;
}
