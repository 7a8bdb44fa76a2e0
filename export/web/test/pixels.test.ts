import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { COLOR_CHANGES } from "../src/color.js";
import { centralBox, mirror, modelInput, Photo, resize, roundToEven, shrink } from "../src/pixels.js";
import type { Box, PixelSource, Size } from "../src/pixels.js";
import { golden, goldenJson } from "./golden.js";

interface GoldenPixels {
  readonly size: Size;
  readonly central_fraction: number;
  readonly tolerances: Readonly<Record<string, { readonly largest: number; readonly mean: number }>>;
  readonly photos: readonly {
    readonly photo: string;
    readonly size: Size;
    readonly shrunk: Size;
    readonly box: Box;
    readonly decoded: string | null;
    readonly pixels: string;
    readonly tolerance: string;
  }[];
  readonly changes: readonly {
    readonly photo: string;
    readonly box: Box;
    readonly flip: boolean;
    readonly color: keyof typeof COLOR_CHANGES | null;
    readonly amount: number;
    readonly pixels: string;
    readonly tolerance: string;
  }[];
}

const {
  size,
  central_fraction: fraction,
  tolerances,
  photos,
  changes,
} = goldenJson<GoldenPixels>("pixels.json");
const lossless = photos.filter(({ decoded }) => decoded !== null);

function decoded(path: string): Photo {
  const photo = lossless.find((candidate) => candidate.photo === path)!;
  return new Photo(photo.size[1], photo.size[0], golden(photo.decoded!));
}

describe("from a photo to the model's input", () => {
  test("there are golden photos whose pixels every decoder gives", () => {
    assert.ok(lossless.length >= 5);
    assert.ok(changes.length >= 5);
  });

  for (const photo of lossless) {
    test(photo.photo, () => {
      const shrunk = shrink(decoded(photo.photo), size);
      assert.deepEqual([shrunk.height, shrunk.width], photo.shrunk);
      assertBox(centralBox(shrunk, size, fraction), photo.box);
      assertPixels(modelInput(shrunk, size, fraction), photo.pixels, tolerances[photo.tolerance]!);
    });
  }

  for (const { photo, box, flip, color, amount, pixels, tolerance } of changes) {
    test(`a change of training: ${pixels}`, () => {
      const result = resize(shrink(decoded(photo), size), size, box);
      if (flip) {
        mirror(result, size);
      }
      if (color) {
        COLOR_CHANGES[color](result, amount);
      }
      assertPixels(result, pixels, tolerances[tolerance]!);
    });
  }
});

test("a box out of the photo is refused", () => {
  const photo = new Photo(4, 4, new Uint8Array(48));
  for (const box of [
    [0, 0, 5, 4],
    [-1, 0, 4, 4],
    [2, 2, 2, 3],
  ] as const) {
    assert.throws(() => resize(photo, [2, 2], box), {
      name: "InputError",
      message: /expected a box inside of 4 x 4/,
    });
  }
});

test("a photo of another length is refused", () => {
  assert.throws(() => new Photo(4, 4, new Uint8Array(64)), /expected 4 x 4 x 3 bytes of a photo, got 64/);
});

test("what alpha hides is white, and rows are read in strips", () => {
  const [width, height] = [3, 200];
  const read: number[] = [];
  const source: PixelSource = {
    width,
    height,
    channels: 4,
    rows(top, bottom) {
      read.push(bottom - top);
      return Uint8Array.from({ length: (bottom - top) * width * 4 }, (_, index) => (index % 4 === 3 ? 0 : 7));
    },
  };
  assert.deepEqual(resize(source, [100, 3]), new Uint8Array(900).fill(255));
  assert.deepEqual(read, [64, 64, 64, 8]);
});

test("alpha is blended as Pillow does", () => {
  // Image.alpha_composite of (10, 100, 200, a) on white.
  const expected: Readonly<Record<number, readonly number[]>> = {
    1: [254, 254, 255],
    37: [219, 233, 247],
    100: [159, 194, 233],
    128: [132, 177, 227],
    200: [63, 133, 212],
    254: [11, 101, 200],
  };
  for (const [alpha, rgb] of Object.entries(expected)) {
    const source: PixelSource = {
      width: 1,
      height: 1,
      channels: 4,
      rows: () => Uint8Array.of(10, 100, 200, Number(alpha)),
    };
    assert.deepEqual([...resize(source, [1, 1])], rgb);
  }
});

test("halves are rounded to even numbers", () => {
  assert.deepEqual([0.5, 1.5, 2.5, 2.51, 162.5, 163.5, 7].map(roundToEven), [0, 2, 2, 3, 162, 164, 7]);
});

function assertBox(actual: Box, expected: Box): void {
  expected.forEach((edge, index) => {
    assert.ok(
      Math.abs(actual[index]! - edge) < 1e-9,
      `expected ${expected.join(", ")}, got ${actual.join(", ")}`,
    );
  });
}

function assertPixels(
  actual: Uint8Array,
  name: string,
  { largest, mean }: { largest: number; mean: number },
): void {
  const expected = golden(name);
  assert.equal(actual.length, expected.length);
  const differences = expected.map((level, index) => Math.abs(level - actual[index]!));
  assert.ok(Math.max(...differences) <= largest, `${name} differs by ${Math.max(...differences)}`);
  const sum = differences.reduce((total, difference) => total + difference, 0);
  assert.ok(sum / differences.length <= mean, `${name} differs by ${sum / differences.length} on average`);
}
