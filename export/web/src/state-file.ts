import { crc32 } from "./crc32.js";
import { InputError, reason } from "./errors.js";
import { checkNames, MOST_BYTES_TOGETHER } from "./names.js";
import { toHex } from "./sha256.js";

const MAGIC = new TextEncoder().encode("TINYTL\r\n");
const VERSION = 1;
const WITH_NAMES = 2; // the version of a file with names of added classes
const VERSION_AT = 8;
const FINGERPRINT_AT = 12;
const COUNT_AT = 44;
const HEADER = 48;
const NUMBER = 4; // bytes of a length or checksum

/**
 * The `.tinytl` state file: the learned values of a model, without the model. docs/formats.md has its layout; all
 * clients write the same bytes for the same state.
 *
 * Typed arrays are little-endian wherever WebAssembly runs.
 */
export class StateFile {
  /**
   * @param fingerprint SHA-256 of the `.tflite` that the state belongs to, 32 bytes.
   * @param values Finite values of the state, in the order of the signature `save`.
   * @param addedClasses Names of the classes that were added on a device, in the order of their outputs.
   */
  constructor(
    readonly fingerprint: Uint8Array,
    readonly values: Float32Array<ArrayBuffer>,
    readonly addedClasses: readonly string[] = [],
  ) {
    if (fingerprint.length !== COUNT_AT - FINGERPRINT_AT) {
      throw new InputError(`expected a fingerprint of 32 bytes, got ${fingerprint.length}; give the model's`);
    }
    checkFinite(values, "cannot save the state");
    checkNames(addedClasses);
  }

  /** Returns the content of the file. */
  toBytes(): Uint8Array<ArrayBuffer> {
    const names = new TextEncoder().encode(this.addedClasses.join("\n"));
    const end = HEADER + 4 * this.values.length;
    const bytes = new Uint8Array(end + (names.length > 0 ? NUMBER + names.length : 0) + NUMBER);
    const view = new DataView(bytes.buffer);
    bytes.set(MAGIC);
    view.setUint32(VERSION_AT, names.length > 0 ? WITH_NAMES : VERSION, true);
    bytes.set(this.fingerprint, FINGERPRINT_AT);
    view.setUint32(COUNT_AT, this.values.length, true);
    bytes.set(new Uint8Array(this.values.buffer, this.values.byteOffset, this.values.byteLength), HEADER);
    if (names.length > 0) {
      view.setUint32(end, names.length, true);
      bytes.set(names, end + NUMBER);
    }
    view.setUint32(bytes.length - NUMBER, crc32(bytes.subarray(0, -NUMBER)), true);
    return bytes;
  }

  /**
   * Reads a state file that must belong to a model.
   *
   * @param bytes The content of the file.
   * @param fingerprint SHA-256 of the model's `.tflite`.
   * @param size Number of values in the model's state.
   * @param name Name of the file in errors.
   * @throws InputError If it is not a state file, is damaged, or belongs to another model.
   */
  static parse(bytes: Uint8Array, fingerprint: Uint8Array, size: number, name = "the state file"): StateFile {
    const count = parseHeader(bytes, name);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const names = namesIn(bytes, view, count, name);
    const expected = view.getUint32(bytes.length - NUMBER, true);
    const actual = crc32(bytes.subarray(0, -NUMBER));
    if (actual !== expected) {
      throw new InputError(
        `${name} is damaged: expected checksum ${hex32(expected)}, got ${hex32(actual)}; use another copy`,
      );
    }
    const writtenFor = toHex(bytes.subarray(FINGERPRINT_AT, COUNT_AT));
    if (writtenFor !== toHex(fingerprint)) {
      throw new InputError(
        `${name} belongs to the model with SHA-256 ${writtenFor.slice(0, 16)}..., expected ` +
          `${toHex(fingerprint).slice(0, 16)}...; load the .tflite file that it was saved from`,
      );
    }
    if (count !== size) {
      throw new InputError(
        `${name} has ${count} values, expected the ${size} of the model; save the state again`,
      );
    }
    const added = parseNames(names, name);
    const values = new Float32Array(count);
    new Uint8Array(values.buffer).set(bytes.subarray(HEADER, HEADER + 4 * count));
    checkFinite(values, `cannot use ${name}`);
    return new StateFile(fingerprint, values, added);
  }
}

/**
 * Refuses a state that is not finite.
 *
 * @param state The values.
 * @param what Beginning of the error, for example "cannot set the state".
 * @throws InputError If a value is not finite.
 */
export function checkFinite(state: Float32Array, what: string): void {
  const first = state.findIndex((value) => !Number.isFinite(value));
  if (first >= 0) {
    throw new InputError(
      `${what}: expected finite values, got ${state[first]!} at index ${first}; ` +
        "reset the model and train with a lower learning rate",
    );
  }
}

/** Checks magic, version and length; returns N. */
function parseHeader(bytes: Uint8Array, name: string): number {
  if (!MAGIC.every((byte, index) => bytes[index] === byte)) {
    throw new InputError(
      `${name} is not a state file: expected it to begin with TINYTL, got ${JSON.stringify(beginning(bytes))}; ` +
        "choose a .tinytl file",
    );
  }
  if (bytes.length < HEADER) {
    throw new InputError(
      `${name} is cut short: expected ${HEADER} bytes or more, got ${bytes.length}; use another copy`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(VERSION_AT, true);
  if (version !== VERSION && version !== WITH_NAMES) {
    throw new InputError(
      `${name} has format version ${version}, expected ${VERSION} or ${WITH_NAMES}; use the version of tinytl_tf ` +
        "that wrote it",
    );
  }
  const count = view.getUint32(COUNT_AT, true);
  const least = HEADER + 4 * count + NUMBER + (version === WITH_NAMES ? NUMBER + 1 : 0);
  const most = version === WITH_NAMES ? least + MOST_BYTES_TOGETHER - 1 : least;
  if (bytes.length < least || bytes.length > most) {
    const expected = least === most ? String(least) : `${least} to ${most}`;
    throw new InputError(
      `${name} is damaged: expected ${expected} bytes for ${count} values, got ${bytes.length}; use another copy`,
    );
  }
  return count;
}

/** Returns the bytes of the names; their length must fill the file. */
function namesIn(bytes: Uint8Array, view: DataView, count: number, name: string): Uint8Array {
  if (view.getUint32(VERSION_AT, true) === VERSION) {
    return new Uint8Array();
  }
  const start = HEADER + 4 * count;
  const size = view.getUint32(start, true);
  const expected = start + 2 * NUMBER + size;
  if (bytes.length !== expected) {
    throw new InputError(
      `${name} is damaged: expected ${expected} bytes for ${count} values and ${size} bytes of names, got ` +
        `${bytes.length}; use another copy`,
    );
  }
  return bytes.subarray(start + NUMBER, -NUMBER);
}

function parseNames(bytes: Uint8Array, name: string): string[] {
  if (bytes.length === 0) {
    return [];
  }
  try {
    const names = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes).split("\n");
    checkNames(names);
    return names;
  } catch (error) {
    throw new InputError(
      `${name} has names of classes that cannot be used (${reason(error)}); use another copy`,
    );
  }
}

function beginning(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(0, MAGIC.length));
}

function hex32(value: number): string {
  return value.toString(16).padStart(8, "0");
}
