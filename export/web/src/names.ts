import { InputError } from "./errors.js";

/**
 * Checks names of classes.
 *
 * @param names What should be names.
 * @param taken Names that other classes have, in Unicode's form NFC.
 * @returns The names in the form NFC, by which clients match them.
 * @throws InputError If one is no name, cannot be printed, or is there twice.
 */
export function checkNames(names: readonly string[], taken: readonly string[] = []): string[] {
  const bad = names.find((name) => name.trim() === "" || /[\p{C}\p{Z}]/u.test(name.replaceAll(" ", "")));
  if (bad !== undefined) {
    throw new InputError(
      `expected names as labels, got ${JSON.stringify(bad).slice(0, 80)}; give each class its name`,
    );
  }
  const normal = names.map((name) => name.normalize("NFC"));
  const twice = normal.find((name, index) => normal.indexOf(name) !== index || taken.includes(name));
  if (twice !== undefined) {
    throw new InputError(
      `expected labels that differ, got "${twice}" twice; give each class a name of its own`,
    );
  }
  return normal;
}
