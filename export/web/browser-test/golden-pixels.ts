import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { GOLDEN } from "./browser.js";
import type { PackageGlobal } from "./browser.js";

interface GoldenPixels {
  readonly size: [number, number];
  readonly central_fraction: number;
  readonly tolerances: Readonly<Record<string, { readonly largest: number; readonly mean: number }>>;
  readonly photos: readonly {
    readonly photo: string;
    readonly shrunk: readonly [number, number];
    readonly pixels: string;
    readonly tolerance: string;
    readonly optional: boolean;
  }[];
}

interface Asked {
  readonly file: string;
  readonly size: [number, number];
  readonly fraction: number;
  readonly optional: boolean;
}

interface Given {
  readonly shrunk: readonly number[];
  readonly pixels: readonly number[];
}

/** Runs a function in a page that has the package. */
export type Evaluate = (
  work: (asked: Asked) => Promise<Given | undefined>,
  asked: Asked,
) => Promise<Given | undefined>;

/** Tests that a browser makes the golden pixels of the golden photos. */
export function testGoldenPixels(evaluate: Evaluate): void {
  const golden = JSON.parse(readFileSync(`${GOLDEN}/pixels.json`, "utf-8")) as GoldenPixels;
  for (const { photo, shrunk, pixels, tolerance, optional } of golden.photos) {
    test(photo, async () => {
      const { largest, mean } = golden.tolerances[tolerance]!;
      const { size, central_fraction: fraction } = golden;
      const file = readFileSync(`${GOLDEN}/photos/${photo}`).toString("base64");
      const given = await evaluate(decode, { file, size, fraction, optional });
      if (!given) {
        return; // a kind that a client need not read
      }
      assert.deepEqual(given.shrunk, shrunk);
      const expected = readFileSync(`${GOLDEN}/${pixels}`);
      const differences = given.pixels.map((level, index) => Math.abs(level - expected[index]!));
      assert.equal(differences.length, expected.length);
      const average = differences.reduce((sum, difference) => sum + difference, 0) / differences.length;
      assert.ok(
        Math.max(...differences) <= largest && average <= mean,
        `${Math.max(...differences)}, ${average}`,
      );
    });
  }
}

/** Runs in the page. */
async function decode({ file, size, fraction, optional }: Asked): Promise<Given | undefined> {
  const { photoFromFile, modelInput } = (globalThis as unknown as PackageGlobal).tinytl;
  const bytes = Uint8Array.from(atob(file), (letter) => letter.charCodeAt(0));
  try {
    const photo = await photoFromFile(new Blob([bytes]), size);
    return { shrunk: [photo.height, photo.width], pixels: [...modelInput(photo, size, fraction)] };
  } catch (error) {
    if (optional) {
      return undefined;
    }
    throw error;
  }
}
