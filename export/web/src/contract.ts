import type { SignatureInfo, TensorInfo } from "./engine.js";
import { InputError } from "./errors.js";
import { inputName } from "./manifest.js";
import type { Manifest } from "./manifest.js";
import { TASKS } from "./tasks.js";
import type { Task } from "./tasks.js";

/** Sizes for the letters of the contract. */
export interface Sizes {
  /** Number of images or arrays in a step. */
  readonly B: number;
  /** Height and width of an image; undefined for a model of arrays. */
  readonly H?: number;
  readonly W?: number;
  /** Number of classes or attributes. */
  readonly C: number;
  /** Number of values in the state. */
  readonly N: number;
}

type Dimension = number | keyof Sizes;
type Expected = Readonly<Record<string, readonly [dtype: string, shape: readonly Dimension[]]>>;

/** An example in the signatures: name, type, and shape without the batch. */
type Input = readonly [name: string, dtype: string, shape: readonly Dimension[]];

function inputOf(manifest: Manifest): Input {
  if (manifest.input) {
    return ["image", "uint8", ["H", "W", 3]];
  }
  return ["array", "float32", manifest.inputs.array.shape];
}

/** Inputs and outputs by signature. Equal letters stand for equal sizes. */
function contract(
  task: Task,
  [name, dtype, shape]: Input,
): Record<string, { inputs: Expected; outputs: Expected }> {
  return {
    infer: {
      inputs: { [name]: [dtype, [1, ...shape]] },
      outputs: { logits: ["float32", [1, "C"]], probabilities: ["float32", [1, "C"]] },
    },
    train: {
      inputs: {
        [name]: [dtype, ["B", ...shape]],
        label: [task.labelDtype, task.name === "classification" ? ["B"] : ["B", "C"]],
        learning_rate: ["float32", [1]],
      },
      outputs: { loss: ["float32", [1]], accuracy: ["float32", [1]], applied: ["int32", [1]] },
    },
    save: { inputs: {}, outputs: { state: ["float32", ["N"]] } },
    restore: { inputs: { state: ["float32", ["N"]] }, outputs: { restored: ["int32", [1]] } },
    reset: { inputs: {}, outputs: { restored: ["int32", [1]] } },
  };
}

/**
 * Checks signatures, names, types and shapes before a file runs.
 *
 * @param signatures Signatures of the file, from the runtime.
 * @param manifest The expected content.
 * @returns Sizes for the letters in docs/formats.md.
 * @throws InputError If something is missing or unknown, has a different type or shape, or is from contract 1, or if
 *   the file takes features, which this client cannot compute.
 */
export function checkContract(
  signatures: Readonly<Record<string, SignatureInfo>>,
  manifest: Manifest,
): Sizes {
  if (inputName(manifest) === "features") {
    throw new InputError(
      "expected a model of images or arrays, got one of the features of an int8 prefix; choose the file of the " +
        "complete network, `model` in coral.json",
    );
  }
  if (signatures.train?.inputs.learning_rate?.shape.length === 0) {
    throw new InputError(
      "the model has signatures of contract 1, expected 2 or 3; export it again with this version of tinytl_tf",
    );
  }
  const wanted = contract(TASKS[manifest.task], inputOf(manifest));
  const missing = Object.keys(wanted).filter((name) => !(name in signatures));
  if (missing.length > 0) {
    throw new InputError(
      `the model has the signatures ${Object.keys(signatures).sort().join(", ")}, expected ${missing.join(", ")} ` +
        "too; export it with `tinytl export`",
    );
  }
  const sizes: Partial<Record<keyof Sizes, number>> = {};
  for (const [signature, { inputs, outputs }] of Object.entries(wanted)) {
    const actual = signatures[signature]!;
    checkTensors(signature, inputs, actual.inputs, sizes);
    checkTensors(signature, outputs, actual.outputs, sizes);
  }
  return sizes as Sizes;
}

function checkTensors(
  signature: string,
  expected: Expected,
  actual: Readonly<Record<string, TensorInfo>>,
  sizes: Partial<Record<keyof Sizes, number>>,
): void {
  for (const name of new Set([...Object.keys(expected), ...Object.keys(actual)])) {
    const where = `${signature}.${name} of the model`;
    const [wanted, got] = [expected[name], actual[name]];
    if (!wanted || !got) {
      throw new InputError(`${where} is ${wanted ? "missing" : "unknown"}; export it with \`tinytl export\``);
    }
    const [dtype, shape] = wanted;
    const fits =
      got.dtype === dtype &&
      got.shape.length === shape.length &&
      shape.every((dimension, axis) => {
        const size = got.shape[axis]!;
        return size > 0 && size === (typeof dimension === "number" ? dimension : (sizes[dimension] ??= size));
      });
    if (!fits) {
      const numbers = shape.map((dimension) =>
        typeof dimension === "number" ? dimension : (sizes[dimension] ?? dimension),
      );
      throw new InputError(
        `${where}: expected ${dtype} [${numbers.join(", ")}], got ${got.dtype} [${got.shape.join(", ")}]; ` +
          "export it with `tinytl export`",
      );
    }
  }
}
