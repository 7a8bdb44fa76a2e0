import { InputError } from "./errors.js";
import { sha256, toHex } from "./sha256.js";

/** A float array with its label, for a model that takes arrays. */
export interface LabeledArray {
  /**
   * Index of a class; with several attributes a list with a number from 0 to 1 for each; for a regression a list of
   * finite numbers.
   */
  readonly label: number | readonly number[];
  /**
   * Result of `arrayId` for the array, or of `photoId` for its file. It decides whether the array is held out, and
   * whether a training can be resumed.
   */
  readonly id: string;
  /** Finite numbers of the model's `inputShape`, in row-major order. They are not changed. */
  readonly array: Float32Array;
}

/**
 * Returns the ID of an array without a file, which is the same in all clients: the SHA-256 of its numbers as
 * little-endian float32, in lowercase hexadecimal.
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
 * @param what Name of the array in errors.
 * @param array The value to check: float32 numbers of `shape`.
 * @param shape Shape of one array, or of a batch.
 * @throws InputError If the type or the length differs, or a number is not finite.
 */
export function checkArray(what: string, array: unknown, shape: readonly number[]): void {
  const expected = shape.reduce((product, size) => product * size, 1);
  const words = `${what} of ${shape.join(" x ")} = ${expected} float32 numbers`;
  if (!(array instanceof Float32Array)) {
    throw new InputError(`expected ${words}, got ${describe(array)}; give a Float32Array`);
  }
  if (array.length !== expected) {
    throw new InputError(
      `expected ${words}, got ${array.length}; cut or pad it, arrays are passed on unchanged`,
    );
  }
  const index = array.findIndex((value) => !Number.isFinite(value));
  if (index >= 0) {
    throw new InputError(
      `expected finite numbers in ${what}, got ${array[index]!} at [${placeOf(index, shape).join(", ")}]; ` +
        "leave that one out",
    );
  }
}

/** Returns the type and length of an unexpected value. */
export function describe(value: unknown): string {
  if (ArrayBuffer.isView(value)) {
    return `${value.constructor.name} of ${(value as Uint8Array).length}`;
  }
  return typeof value;
}

/** Returns the position of an element on each axis for its row-major index. */
function placeOf(index: number, shape: readonly number[]): number[] {
  const place: number[] = [];
  for (const size of [...shape].reverse()) {
    place.unshift(index % size);
    index = Math.floor(index / size);
  }
  return place;
}
