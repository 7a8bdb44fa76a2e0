import { InputError } from "./errors.js";
import { sha256, toHex } from "./sha256.js";

/** One float array with its label, for a model that takes arrays. */
export interface LabeledArray {
  /** A class; with several attributes a number from 0 to 1 for each; of a regression a list of finite numbers. */
  readonly label: number | readonly number[];
  /**
   * Result of `arrayId` for it, or of `photoId` for its file: whether the array is held out and
   * whether a training can resume depends on it.
   */
  readonly id: string;
  /** Finite numbers of the model's `inputShape`, in row-major order. They are passed on as they are. */
  readonly array: Float32Array;
}

/**
 * Returns the id of an array that has no file, the same in all clients: the SHA-256 of its numbers as little-endian
 * float32, in lowercase hexadecimal.
 *
 * @param array The numbers, in row-major order.
 */
export async function arrayId(array: Float32Array): Promise<string> {
  const bytes = new DataView(new ArrayBuffer(4 * array.length));
  array.forEach((value, index) => {
    bytes.setFloat32(4 * index, value, true);
  });
  return toHex(await sha256(new Uint8Array(bytes.buffer)));
}

/**
 * Checks the input of a model of arrays.
 *
 * @param what Its name in errors.
 * @param array Checked for float32 numbers of `shape`.
 * @param shape Of one array, or of a batch.
 * @throws InputError If the type or the length differs, or a number is not finite.
 */
export function checkArray(what: string, array: unknown, shape: readonly number[]): void {
  const expected = shape.reduce((product, size) => product * size, 1);
  const words = `${what} of ${shape.join(" x ")} = ${expected} float32 numbers`;
  if (!(array instanceof Float32Array)) {
    throw new InputError(`expected ${words}, got ${describe(array)}; give a Float32Array`);
  }
  if (array.length !== expected) {
    throw new InputError(`expected ${words}, got ${array.length}; nothing is cropped or padded`);
  }
  const index = array.findIndex((value) => !Number.isFinite(value));
  if (index >= 0) {
    throw new InputError(
      `expected finite numbers in ${what}, got ${array[index]!} at [${placeOf(index, shape).join(", ")}]; leave that one out`,
    );
  }
}

/** Type and length of an unexpected value. */
export function describe(value: unknown): string {
  if (ArrayBuffer.isView(value)) {
    return `${value.constructor.name} of ${(value as Uint8Array).length}`;
  }
  return typeof value;
}

/** Where an element lies, by its place in row-major order. */
function placeOf(index: number, shape: readonly number[]): number[] {
  const place: number[] = [];
  for (const size of [...shape].reverse()) {
    place.unshift(index % size);
    index = Math.floor(index / size);
  }
  return place;
}
