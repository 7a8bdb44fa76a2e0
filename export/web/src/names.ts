import { InputError } from "./errors.js";

type CodePoints = readonly (readonly [first: number, last: number])[];

/** Code points that names must not have: control characters, line separators, and unpaired surrogates. */
const FORBIDDEN: CodePoints = [
  [0x00, 0x1f],
  [0x7f, 0x9f],
  [0x2028, 0x2029],
  [0xd800, 0xdfff],
];
/** Invisible code points: a name must have at least one other. */
const INVISIBLE: CodePoints = [
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0xad, 0xad],
  [0x1680, 0x1680],
  [0x180e, 0x180e],
  [0x2000, 0x200f],
  [0x202a, 0x202f],
  [0x205f, 0x206f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
];
const MOST_BYTES = 255;
/** Largest size in bytes of all names of a state file, with a line feed between two names. */
export const MOST_BYTES_TOGETHER = 2 ** 20;

/** Returns why docs/formats.md does not allow a name, or an empty text. */
export function nameProblem(name: string): string {
  const points = Array.from(name, (letter) => letter.codePointAt(0)!);
  const forbidden = points.find((point) => isIn(point, FORBIDDEN));
  if (forbidden !== undefined) {
    const number = forbidden.toString(16).toUpperCase().padStart(4, "0");
    return `expected a name without control characters and line separators, got U+${number} in ${show(name)}`;
  }
  const bytes = byteLength(name);
  if (bytes > MOST_BYTES) {
    return `expected a name of 1 to ${MOST_BYTES} bytes in UTF-8, got ${bytes} in ${show(name)}`;
  }
  return points.every((point) => isIn(point, INVISIBLE))
    ? `expected a name with a visible character, got ${show(name)}`
    : "";
}

/**
 * Converts a new name, for example from a folder or a text field, to Unicode's form NFC and checks it.
 *
 * @param name The name to check.
 * @param taken Names of other classes, in any form.
 * @throws InputError If the name is invalid or taken.
 */
export function enteredName(name: string, taken: readonly string[] = []): string {
  const normal = name.normalize("NFC");
  checkNames([normal]);
  if (taken.some((other) => other.normalize("NFC") === normal)) {
    throw twice(normal);
  }
  return normal;
}

/**
 * Checks names that are read or written unchanged, byte for byte.
 *
 * @param names Names of the added classes of a state.
 * @param taken Names of other classes.
 * @throws InputError If a name is invalid or occurs twice, or the names together are too long for a state file.
 */
export function checkNames(names: readonly string[], taken: readonly string[] = []): void {
  const seen = new Set(taken);
  for (const name of names) {
    const problem = nameProblem(name);
    if (problem !== "") {
      throw new InputError(`${problem}; give each class a name`);
    }
    if (seen.has(name)) {
      throw twice(name);
    }
    seen.add(name);
  }
  const bytes = byteLength(names.join("\n"));
  if (bytes > MOST_BYTES_TOGETHER) {
    throw new InputError(
      `expected names of added classes of at most ${MOST_BYTES_TOGETHER} bytes together, got ${bytes}; choose ` +
        "shorter ones",
    );
  }
}

/**
 * Returns the index of a name among the names of a model, compared in the form NFC, or -1.
 *
 * @throws InputError If two names of the model are equal in the form NFC, so that the match would be ambiguous.
 */
export function indexOfName(names: readonly string[], name: string): number {
  const normal = names.map((other) => other.normalize("NFC"));
  const same = normal.find((other, index) => normal.indexOf(other) !== index);
  if (same !== undefined) {
    throw new InputError(
      `expected different names of classes, got "${same}" twice in different code points; rename one of the classes`,
    );
  }
  return normal.indexOf(name.normalize("NFC"));
}

function twice(name: string): InputError {
  return new InputError(
    `expected labels that differ, got "${name}" twice; give each class a name of its own`,
  );
}

function isIn(point: number, ranges: CodePoints): boolean {
  return ranges.some(([first, last]) => point >= first && point <= last);
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

function show(name: string): string {
  return JSON.stringify(name).slice(0, 80);
}
