import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { applyChange, Augmentation } from "../src/augmentation.js";
import { centralBox, Photo } from "../src/pixels.js";
import { TrainingPlan } from "../src/plan.js";
import { Random } from "../src/random.js";
import type { SCHEDULES } from "../src/schedules.js";
import { goldenJson } from "./golden.js";

const DATA = { crop: true, crop_area: [0.22, 1], crop_aspect: [3 / 4, 4 / 3], flip: true } as const;

/** `plan.json`. */
interface GoldenPlans {
  readonly plans: readonly {
    readonly shows: string;
    readonly sizes: readonly (readonly [height: number, width: number])[];
    readonly batch_size: number;
    readonly epochs: number;
    readonly seed: number;
    readonly learning_rate: number;
    readonly schedule: keyof typeof SCHEDULES;
    readonly augmentation: ConstructorParameters<typeof Augmentation>[0];
    readonly steps: readonly {
      readonly epoch: number;
      readonly rate: number;
      readonly photos: readonly {
        readonly photo: number;
        /** Null where the photo is not cropped. */
        readonly box: readonly number[] | null;
        readonly flip: boolean;
        readonly colors: readonly (readonly [string, number])[];
      }[];
    }[];
  }[];
}

describe("random numbers", () => {
  /** The upper 53 bits of draws. */
  const draws = (names: readonly number[], count: number) => {
    const random = new Random(names);
    return Array.from({ length: count }, () => random.unit() * 2 ** 53);
  };
  const upper = (draw: bigint) => Number(draw >> 11n);

  test("are those of SplitMix64", () => {
    assert.deepEqual(
      draws([], 3),
      [0xe220a8397b1dcdafn, 0x6e789e6aa1b965f4n, 0x06c45d188009454fn].map(upper),
    );
  });

  test("of a stream depend on all bits of the numbers that name it", () => {
    assert.deepEqual(
      draws([1, 2 ** 40 + 3, 2 ** 53 - 1], 2),
      [0x7f2bb1846277ff12n, 0x22f0b4ec8c246137n].map(upper),
    );
    const streams = [[], [0], [1], [0, 0], [0, 1], [1, 0], [2 ** 40], [2 ** 41]];
    assert.equal(new Set(streams.map((names) => draws(names, 1)[0])).size, streams.length);
  });

  test("are spread evenly", () => {
    const random = new Random([3]);
    const numbers = Array.from({ length: 4000 }, () => random.uniform(-1, 3));
    const mean = numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
    assert.ok(Math.abs(mean - 1) < 0.08, `mean ${mean}`);
    assert.ok(Math.min(...numbers) >= -1 && Math.max(...numbers) < 3);
  });

  test("make an order of all", () => {
    assert.deepEqual(new Random([7, 1, 0]).permutation(10), [2, 0, 4, 9, 6, 5, 8, 3, 7, 1]);
    assert.deepEqual(new Random([7, 1, 0]).permutation(0), []);
  });
});

describe("the plan of a training", () => {
  for (const golden of goldenJson<GoldenPlans>("plan.json").plans) {
    test(`is the golden one: ${golden.shows}`, () => {
      const { sizes, steps, seed, epochs, schedule } = golden;
      const size = [64, 64] as const;
      const plan = new TrainingPlan({
        ...{ seed, epochs, schedule, size },
        photos: sizes.length,
        batchSize: golden.batch_size,
        learningRate: golden.learning_rate,
        augmentation: new Augmentation(golden.augmentation),
        centralFraction: 1,
      });
      assert.equal(plan.totalSteps, steps.length);
      for (const [index, step] of steps.entries()) {
        assertNear(plan.rate(index), step.rate);
        const places = plan.places(step.epoch, index % plan.stepsPerEpoch);
        assert.deepEqual(
          places.map(({ photo }) => photo),
          step.photos.map(({ photo }) => photo),
        );
        for (const [position, expected] of step.photos.entries()) {
          const [height, width] = sizes[expected.photo]!;
          const { box, flip, colors } = plan.change(step.epoch, places[position]!, { height, width });
          assert.deepEqual(box, expected.box ?? centralBox({ height, width }, size, 1));
          assert.equal(flip, expected.flip);
          assert.deepEqual(
            colors.map(([name]) => name),
            expected.colors.map(([name]) => name),
          );
          colors.forEach(([, amount], at) => {
            assertNear(amount, expected.colors[at]![1]);
          });
        }
      }
    });
  }
});

describe("changes of training images", () => {
  const draw = (settings: Partial<ConstructorParameters<typeof Augmentation>[0]>, names: readonly number[]) =>
    new Augmentation({ ...DATA, color: "none", ...settings }).draw(
      { width: 400, height: 300 },
      [64, 64],
      new Random(names),
      0.5,
    );

  test("boxes have areas and aspects of their ranges, and lie anywhere in the photo", () => {
    const boxes = Array.from({ length: 2000 }, (_, seed) => draw({}, [seed]).box);
    const areas: number[] = [];
    const places: [number, number][] = [];
    for (const [left, top, right, bottom] of boxes) {
      const [width, height] = [right - left, bottom - top];
      assert.ok(left >= 0 && top >= 0 && right <= 400 && bottom <= 300);
      assert.ok(width / height > 0.74 && width / height < 1.35);
      areas.push((width * height) / 120_000);
      if (height < 250) {
        places.push([left / (400 - width), top / (300 - height)]);
      }
    }
    assert.ok(Math.min(...areas) < 0.24 && Math.min(...areas) > 0.21);
    assert.ok(Math.max(...areas) > 0.9);
    for (const axis of [0, 1] as const) {
      const mean = places.reduce((sum, place) => sum + place[axis], 0) / places.length;
      assert.ok(Math.abs(mean - 0.5) < 0.05, `mean place ${mean} of axis ${axis}`);
    }
  });

  test("a photo that no box fits gives its largest central part", () => {
    const augmentation = new Augmentation({ ...DATA, color: "none" });
    const { box } = augmentation.draw({ width: 1000, height: 10 }, [64, 64], new Random([0]), 1);
    assert.deepEqual(box, [493, 0, 506, 10]);
  });

  test("without crop the box is the central one that is evaluated", () => {
    assert.deepEqual(draw({ crop: false }, [0]).box, [125, 75, 275, 225]);
  });

  test("half of them are mirrored, and none where flip is off", () => {
    const seeds = [...Array(400).keys()];
    const mirrored = seeds.filter((seed) => draw({}, [seed]).flip).length;
    assert.ok(mirrored > 160 && mirrored < 240, `${mirrored} of 400`);
    assert.ok(seeds.every((seed) => !draw({ flip: false }, [seed]).flip));
  });

  test("are made in order: box, mirror, colors", () => {
    const photo = new Photo(2, 1, Uint8Array.of(...[100, 100, 100], ...[200, 200, 200]));
    const size = [1, 1] as const;
    const make = (flip: boolean, colors: readonly ["brightness", number][]) =>
      applyChange(photo, size, { box: [1, 0, 2, 1], flip, colors })[0];
    assert.equal(make(false, []), 200);
    assert.equal(make(false, [["brightness", -0.25]]), 150);
    const wide = (flip: boolean) => [...applyChange(photo, [1, 2], { box: [0, 0, 2, 1], flip, colors: [] })];
    assert.deepEqual(wide(true), [200, 200, 200, 100, 100, 100]);
    assert.deepEqual(wide(false), [100, 100, 100, 200, 200, 200]);
  });
});

function assertNear(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) <= 1e-12 * Math.abs(expected), `expected ${expected}, got ${actual}`);
}
