import { InputError } from "./errors.js";
import { nameProblem } from "./names.js";
import { SCHEDULES } from "./schedules.js";

const FORMAT_VERSION = 2;
const CONTRACTS = [2, 3] as const;
/** Contract of files that take arrays or predict numbers. */
const ARRAY_CONTRACT = 3;
const LEARNING_RATE = 1e-3;
const MOST_ELEMENTS = 2 ** 31 - 1; // of a tensor
const MOST_SAMPLE_RATE = 2 ** 24;
const MOST_TEXT = 255; // characters
/** Type of an element, by the name of the input in the signatures. */
const INPUT_TYPES = { image: "uint8", features: "int8", array: "float32" } as const;
/** Fields of `data` for changes of photos. */
const PHOTO_DATA = ["crop", "crop_area", "crop_aspect", "flip", "color"] as const;

/** A part of the state. */
export interface StatePart {
  readonly name: string;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly slot: string;
}

/** How test data were held out in the training before the export. */
export interface SplitSettings {
  readonly split_seed: number;
  /** How test photos were chosen: `content`, the rule of `holdOut`; older exports lack it. */
  readonly split?: string;
}

/** Changes of training images in the training before the export; docs/formats.md describes them. */
export interface DataSettings extends SplitSettings {
  readonly crop: boolean;
  readonly crop_area: readonly [number, number];
  readonly crop_aspect: readonly [number, number];
  readonly flip: boolean;
  readonly color: string;
}

/** Input of the file's signatures. */
export interface InputFacts {
  readonly dtype: string;
  /** Sizes without the batch, 1 to 3 of them. */
  readonly shape: readonly number[];
  /** Meaning of the axes and the numbers, for people; may be empty. */
  readonly meaning: string;
  /** Samples per second of a waveform from -1 to 1; for other inputs missing or 0. */
  readonly sample_rate?: number;
}

/** Fields that clients need from every manifest; docs/manifest.schema.json has all fields. */
interface AnyManifest {
  readonly format_version: number;
  readonly contract: number;
  /** Names of the outputs in use. */
  readonly labels: readonly string[];
  /** Number of outputs after `labels` that have no class yet. */
  readonly spare_classes: number;
  readonly task: "classification" | "multilabel" | "regression";
  readonly backbone: string;
  readonly scheme: string;
  readonly optimizer: "sgd" | "momentum" | "adam";
  readonly batch_size: number;
  readonly state: readonly StatePart[];
  readonly planned_peak_bytes: Readonly<Record<string, number>>;
  readonly sha256: string;
  /** Default learning rate of the first step; 1e-3 if an older export lacks it. */
  readonly learning_rate: number;
  /** `run` if it is the rate of the run that was exported; older exports lack it. */
  readonly learning_rate_from?: "run" | "default";
  /** Default schedule of the learning rate; cosine if an older export lacks it. */
  readonly schedule: keyof typeof SCHEDULES;
  /** Digest of the network's frozen weights; older exports lack it or have an empty text. */
  readonly frozen_sha256?: string;
}

/** Manifest of a file that takes images, or the features that a prefix computes from them. */
export interface ImageManifest extends AnyManifest {
  readonly inputs?: { readonly image: InputFacts } | { readonly features: InputFacts };
  readonly input: { readonly size: readonly [number, number]; readonly central_fraction: number };
  readonly data: DataSettings;
}

/** Manifest of a file that takes float arrays: it has no settings of photos. */
export interface ArrayManifest extends AnyManifest {
  readonly inputs: { readonly array: InputFacts };
  readonly input?: undefined;
  readonly data: SplitSettings;
}

/** Fields of `NAME.manifest.json` for clients. Manifests of images have `input`, manifests of arrays do not. */
export type Manifest = ImageManifest | ArrayManifest;

/** Returns the name of the input in a file's signatures; a file of images or features may lack `inputs`. */
export function inputName({ inputs }: Pick<Manifest, "inputs">): keyof typeof INPUT_TYPES {
  return inputs ? (Object.keys(inputs)[0] as keyof typeof INPUT_TYPES) : "image";
}

/**
 * Reads a manifest.
 *
 * @param text JSON, or the parsed value.
 * @throws InputError If it is not JSON, is damaged, or has a different version or contract.
 */
export function parseManifest(text: string | object): Manifest {
  const values = typeof text === "string" ? parseJson(text) : text;
  if (typeof values !== "object" || values === null || Array.isArray(values)) {
    throw bad("an object", values);
  }
  const manifest = values as Record<string, unknown>;
  const versions: readonly (readonly [string, readonly unknown[]])[] = [
    ["format_version", [FORMAT_VERSION]],
    ["contract", CONTRACTS],
  ];
  for (const [key, known] of versions) {
    if (!known.includes(manifest[key])) {
      throw new InputError(
        `expected a manifest whose ${key} is ${known.join(" or ")}, got ${show(manifest[key])}; ` +
          "choose the .manifest.json of the model, or export the model again",
      );
    }
  }
  const complete: Record<string, unknown> = { learning_rate: LEARNING_RATE, schedule: "cosine", ...manifest };
  const [inputsFit, ofInputs] = INPUTS;
  if (!inputsFit(complete.inputs)) {
    throw bad(`inputs: ${ofInputs}`, complete.inputs);
  }
  const isOfArrays = inputName(complete) === "array";
  for (const [key, [fits, expected]] of Object.entries({
    ...FIELDS,
    ...(isOfArrays ? ARRAY_FIELDS : IMAGE_FIELDS),
  })) {
    if (!fits(complete[key])) {
      throw bad(`${key}: ${expected}`, complete[key]);
    }
  }
  checkTask(complete, isOfArrays);
  return complete as unknown as Manifest;
}

/** Checks the fields that depend on the task. */
function checkTask(manifest: Readonly<Record<string, unknown>>, isOfArrays: boolean): void {
  const isRegression = manifest.task === "regression";
  if ((isOfArrays || isRegression) && manifest.contract !== ARRAY_CONTRACT) {
    throw bad(`contract: ${ARRAY_CONTRACT} for arrays and for regression`, manifest.contract);
  }
  if (manifest.spare_classes !== 0 && manifest.task !== "classification") {
    throw bad(`spare_classes: 0, since the task is ${String(manifest.task)}`, manifest.spare_classes);
  }
  if (isRegression && ![undefined, 0].includes(manifest.label_smoothing as number | undefined)) {
    throw bad("label_smoothing: 0, since the task is regression", manifest.label_smoothing);
  }
}

/** Returns the number of values in the state of a manifest. */
export function stateSize(manifest: Manifest): number {
  return manifest.state.reduce((total, part) => total + length(part), 0);
}

/** Returns the number of values in a part. */
export function length(part: StatePart): number {
  return part.shape.reduce((product, size) => product * size, 1);
}

type Check = readonly [(value: unknown) => boolean, string];

const INPUTS: Check = [
  (value) => value === undefined || isInputs(value),
  `one of ${Object.keys(INPUT_TYPES).join(", ")}, with its type and 1 to 3 sizes`,
];

/** Checks for files that take images. */
const IMAGE_FIELDS: Readonly<Record<string, Check>> = {
  input: [
    (value) =>
      isObject(value) &&
      isList(value.size, isSize, 2) &&
      isNumber(value.central_fraction, Number.MIN_VALUE, 1),
    "a size of two numbers and a central_fraction in (0, 1]",
  ],
  data: [
    (value) =>
      isSplit(value) &&
      typeof value.crop === "boolean" &&
      isRange(value.crop_area, 1) &&
      isRange(value.crop_aspect, Number.MAX_VALUE) &&
      typeof value.flip === "boolean" &&
      typeof value.color === "string",
    "settings of the changes of training images",
  ],
};

/** Checks for files that take arrays, which have no settings of photos. */
const ARRAY_FIELDS: Readonly<Record<string, Check>> = {
  input: [(value) => value === undefined, "nothing, since the model takes arrays"],
  data: [
    (value) => isSplit(value) && PHOTO_DATA.every((field) => !(field in value)),
    "only split_seed and split, since the model takes arrays",
  ],
};

const FIELDS: Readonly<Record<string, Check>> = {
  labels: [isLabels, "names, none twice"],
  spare_classes: [isCount, "a number of outputs"],
  task: [
    (value) => ["classification", "multilabel", "regression"].includes(value as string),
    "classification, multilabel or regression",
  ],
  backbone: [(value) => typeof value === "string", "a name"],
  scheme: [(value) => typeof value === "string", "a name"],
  optimizer: [(value) => ["sgd", "momentum", "adam"].includes(value as string), "sgd, momentum or adam"],
  batch_size: [isSize, "a number of images"],
  state: [(value) => isList(value, isStatePart) && withoutGaps(value as StatePart[]), "parts without gaps"],
  planned_peak_bytes: [
    (value) => isObject(value) && Object.values(value).every(isCount),
    "a number of bytes for each signature",
  ],
  learning_rate: [(value) => isNumber(value, Number.MIN_VALUE, Number.MAX_VALUE), "a number above 0"],
  learning_rate_from: [(value) => [undefined, "run", "default"].includes(value as string), "run or default"],
  schedule: [
    (value) => typeof value === "string" && Object.hasOwn(SCHEDULES, value),
    Object.keys(SCHEDULES).join(" or "),
  ],
  frozen_sha256: [
    (value) => value === undefined || (typeof value === "string" && /^([0-9a-f]{64})?$/.test(value)),
    "64 hexadecimal digits or an empty text",
  ],
  sha256: [(value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value), "64 hexadecimal digits"],
};

function isInputs(value: unknown): boolean {
  if (!isObject(value) || Object.keys(value).length !== 1) {
    return false;
  }
  const [name, facts] = Object.entries(value)[0]!;
  return (
    Object.hasOwn(INPUT_TYPES, name) &&
    isObject(facts) &&
    facts.dtype === INPUT_TYPES[name as keyof typeof INPUT_TYPES] &&
    isShape(facts.shape) &&
    typeof facts.meaning === "string" &&
    facts.meaning.length <= MOST_TEXT &&
    (facts.sample_rate === undefined ||
      (isCount(facts.sample_rate) && facts.sample_rate <= (name === "array" ? MOST_SAMPLE_RATE : 0)))
  );
}

function isShape(value: unknown): boolean {
  return (
    isList(value, isSize) &&
    [1, 2, 3].includes(value.length) &&
    (value as number[]).reduce((product, size) => product * size, 1) <= MOST_ELEMENTS
  );
}

function isSplit(value: unknown): value is Record<string, unknown> {
  return isObject(value) && isCount(value.split_seed) && ["undefined", "string"].includes(typeof value.split);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isSize(value: unknown): value is number {
  return isCount(value) && value > 0;
}

function isNumber(value: unknown, least: number, most: number): value is number {
  return typeof value === "number" && value >= least && value <= most;
}

function isList(value: unknown, item: (value: unknown) => boolean, count?: number): value is unknown[] {
  return Array.isArray(value) && (count === undefined || value.length === count) && value.every(item);
}

function isRange(value: unknown, most: number): boolean {
  return (
    isList(value, (edge) => isNumber(edge, Number.MIN_VALUE, most), 2) && Number(value[0]) <= Number(value[1])
  );
}

function isLabels(value: unknown): boolean {
  return (
    isList(value, (label) => typeof label === "string" && nameProblem(label) === "") &&
    value.length > 0 &&
    new Set(value.map((label) => (label as string).normalize("NFC"))).size === value.length
  );
}

function isStatePart(value: unknown): boolean {
  return (
    isObject(value) &&
    typeof value.name === "string" &&
    isList(value.shape, isSize) &&
    isCount(value.offset) &&
    typeof value.slot === "string"
  );
}

function withoutGaps(parts: readonly StatePart[]): boolean {
  let offset = 0;
  return parts.every((part) => {
    const fits = part.offset === offset;
    offset += length(part);
    return fits;
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new InputError(
      "expected the manifest to be JSON, got other text; choose the .manifest.json of the model",
    );
  }
}

function bad(expected: string, value: unknown): InputError {
  return new InputError(
    `expected a manifest with ${expected}, got ${show(value)}; choose another copy, or export the model again`,
  );
}

function show(value: unknown): string {
  return (value === undefined ? "nothing" : JSON.stringify(value)).slice(0, 80);
}
