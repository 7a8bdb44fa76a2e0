/** A model without a runtime, whose steps and answers a test decides, and which remembers what it was given. */

import { createHash } from "node:crypto";
import type { Engine, SignatureInfo, Tensors } from "../src/engine.js";
import type { ImageManifest } from "../src/manifest.js";
import { TrainableModel } from "../src/trainable-model.js";
import { goldenJson } from "./golden.js";

const FILE = Uint8Array.of(1, 2, 3);

/** What a step gives. */
export interface FakeStep {
  readonly loss: number;
  readonly applied?: boolean;
}

/** How the model behaves. */
export interface FakeBehavior {
  readonly manifest?: Partial<ImageManifest>;
  /** Result of step `index`. */
  readonly step?: (index: number, state: Float32Array) => FakeStep;
  /** Logits after `index` steps. */
  readonly logits?: (index: number, image: Uint8Array) => readonly number[];
}

/** What a step was given. */
export interface Given {
  readonly image: Uint8Array;
  readonly label: readonly number[];
  readonly rate: number;
}

/** The engine behind it: 8 x 8 pixels, batches of 2 unless the manifest has others, a state of two numbers. */
export class FakeEngine implements Engine {
  readonly given: Given[] = [];
  readonly inferred: Uint8Array[] = [];
  #state = new Float32Array(2);

  constructor(
    private readonly manifest: ImageManifest,
    private readonly behavior: FakeBehavior,
  ) {}

  open(): Promise<Record<string, SignatureInfo>> {
    const { batch_size: batch, labels, spare_classes: spare, input, task } = this.manifest;
    const [height, width] = input.size;
    const classes = labels.length + spare;
    const tensors = (entries: Record<string, readonly [string, readonly number[]]>) =>
      Object.fromEntries(Object.entries(entries).map(([name, [dtype, shape]]) => [name, { dtype, shape }]));
    const one = ["float32", [1]] as const;
    const flag = tensors({ restored: ["int32", [1]] });
    const state = tensors({ state: ["float32", [2]] });
    return Promise.resolve({
      infer: {
        inputs: tensors({ image: ["uint8", [1, height, width, 3]] }),
        outputs: tensors({ logits: ["float32", [1, classes]], probabilities: ["float32", [1, classes]] }),
      },
      train: {
        inputs: tensors({
          image: ["uint8", [batch, height, width, 3]],
          label: task === "classification" ? ["int32", [batch]] : ["float32", [batch, classes]],
          learning_rate: one,
        }),
        outputs: tensors({ loss: one, accuracy: one, applied: ["int32", [1]] }),
      },
      save: { inputs: {}, outputs: state },
      restore: { inputs: state, outputs: flag },
      reset: { inputs: {}, outputs: flag },
    });
  }

  async run(signature: string, inputs: Tensors): Promise<Tensors> {
    await new Promise(setImmediate);
    switch (signature) {
      case "train": {
        const index = this.given.length;
        this.given.push({
          image: Uint8Array.from(inputs.image!),
          label: [...inputs.label!],
          rate: inputs.learning_rate![0]!,
        });
        const { loss, applied = true } = this.behavior.step?.(index, this.#state) ?? { loss: 1 };
        this.#state[0]! += applied ? 1 : 0;
        return {
          loss: Float32Array.of(loss),
          accuracy: Float32Array.of(0.5),
          applied: Int32Array.of(applied ? 1 : 0),
        };
      }
      case "infer": {
        const image = Uint8Array.from(inputs.image!);
        this.inferred.push(image);
        const classes = this.manifest.labels.length + this.manifest.spare_classes;
        const logits = this.behavior.logits?.(this.given.length, image) ?? Array<number>(classes).fill(0);
        return { logits: Float32Array.from(logits), probabilities: new Float32Array(classes) };
      }
      case "save":
        return { state: this.#state.slice() };
      case "restore":
        this.#state = Float32Array.from(inputs.state!);
        return { restored: Int32Array.of(1) };
      default:
        this.#state = new Float32Array(2);
        return { restored: Int32Array.of(1) };
    }
  }

  heapBytes(): Promise<number> {
    return Promise.resolve(0);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Loads one. */
export async function fakeModel(
  behavior: FakeBehavior = {},
): Promise<{ readonly model: TrainableModel; readonly engine: FakeEngine }> {
  const golden = goldenJson<ImageManifest>("model_float32.manifest.json");
  const manifest: ImageManifest = {
    ...golden,
    labels: ["a", "b", "c"],
    input: { ...golden.input, size: [8, 8] },
    batch_size: 2,
    optimizer: "sgd",
    schedule: "cosine",
    state: [{ name: "classifier/bias", shape: [2], offset: 0, slot: "" }],
    sha256: createHash("sha256").update(FILE).digest("hex"),
    ...behavior.manifest,
  };
  const engine = new FakeEngine(manifest, behavior);
  return { model: await TrainableModel.load(FILE, manifest, { engine }), engine };
}
