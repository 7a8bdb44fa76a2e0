import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { evaluate } from "../src/evaluate.js";
import type { LabeledPhoto } from "../src/photo-set.js";
import { Photo } from "../src/pixels.js";
import { AttributeTally, RegressionTally } from "../src/recall.js";
import { TASKS } from "../src/tasks.js";
import { fakeModel } from "./fake-model.js";

/** Photos of one level each; the fake model's answers depend on that. */
function photo(level: number, label: number | readonly number[]): LabeledPhoto {
  return {
    id: String(level),
    label,
    read: () => Promise.resolve(new Photo(8, 8, new Uint8Array(192).fill(level))),
  };
}

describe("figures by class", () => {
  test("rare classes that are never found are seen", async () => {
    // 60 : 3 : 3 photos, all taken for the first class.
    const { model } = await fakeModel({ logits: () => [2, 0, -1] });
    const labels = [...Array<number>(60).fill(0), 1, 1, 1, 2, 2, 2];
    const result = await evaluate(
      model,
      labels.map((label) => photo(0, label)),
    );
    assert.ok(Math.abs(result.accuracy - 60 / 66) < 1e-12);
    assert.equal(result.balancedAccuracy, 1 / 3);
    assert.deepEqual(result.classes, [
      { name: "a", images: 60, right: 60, recall: 1 },
      { name: "b", images: 3, right: 0, recall: 0 },
      { name: "c", images: 3, right: 0, recall: 0 },
    ]);
    assert.equal(result.attributes, undefined);
  });

  test("of a class without photos nothing is known", async () => {
    const { model } = await fakeModel({ logits: (_, image) => [image[0]!, 0, 1] });
    const result = await evaluate(model, [photo(9, 0), photo(0, 0), photo(0, 2)]);
    assert.deepEqual(result.classes, [
      { name: "a", images: 2, right: 1, recall: 0.5 },
      { name: "b", images: 0, right: 0, recall: undefined },
      { name: "c", images: 1, right: 1, recall: 1 },
    ]);
    assert.equal(result.balancedAccuracy, 0.75);
  });
});

describe("figures by attribute", () => {
  const settings = { manifest: { task: "multilabel", labels: ["x", "y", "z"] } } as const;

  test("a rare attribute that is never found is seen", async () => {
    const { model } = await fakeModel({
      ...settings,
      logits: (_, image) => [-1, image[0] === 1 ? 1 : -1, 1],
    });
    const photos = [
      photo(0, [1, 0, 1]),
      photo(1, [0, 1, 1]),
      photo(1, [0, 0, 1]),
      photo(0, [0, 1, 1]),
      photo(0, [0, 0, 1]),
    ];
    const { attributes, balancedAccuracy, classes } = await evaluate(model, photos);
    assert.equal(classes, undefined);
    const common = { images: 5 };
    assert.deepEqual(attributes, [
      {
        ...{ name: "x", ...common, positives: 1, truePositives: 0, falsePositives: 0 },
        precision: undefined,
        recall: 0,
      },
      {
        ...{ name: "y", ...common, positives: 2, truePositives: 1, falsePositives: 1 },
        precision: 0.5,
        recall: 0.5,
      },
      {
        ...{ name: "z", ...common, positives: 5, truePositives: 5, falsePositives: 0 },
        precision: 1,
        recall: 1,
      },
    ]);
    // x: (0 + 1) / 2, y: (1/2 + 2/3) / 2; all photos have z.
    assert.ok(Math.abs(balancedAccuracy! - (0.5 + (0.5 + 2 / 3) / 2) / 2) < 1e-12);
  });

  test("a label of exactly one half, and a logit of exactly 0, mean that the photo has it not", () => {
    const tally = new AttributeTally(["x", "y"]);
    tally.add(Float32Array.of(0, 1e-6), [0.5, 0.5]);
    const [x, y] = tally.figures().attributes!;
    assert.deepEqual([x!.positives, x!.falsePositives, y!.positives, y!.falsePositives], [0, 0, 0, 1]);
    assert.equal(TASKS.multilabel.correct(Float32Array.of(0, 1e-6), [0.5, 0.5]), 0.5);
    assert.equal(TASKS.multilabel.correct(Float32Array.of(0, 1e-6), [0.51, 0.51]), 0.5);
  });

  test("without an attribute of both kinds no balanced accuracy is known", () => {
    const tally = new AttributeTally(["x"]);
    assert.equal(tally.figures().balancedAccuracy, undefined);
    tally.add(Float32Array.of(1), [1]);
    assert.equal(tally.figures().balancedAccuracy, undefined);
  });
});

describe("figures of a regression", () => {
  const manifest = { task: "regression", contract: 3, labels: ["rate", "strength"] } as const;

  test("are mean absolute error and R2 of each output", async () => {
    const { model } = await fakeModel({ manifest, logits: (_, image) => [image[0]!, 1] });
    const result = await evaluate(model, [photo(1, [1.5, 3]), photo(2, [1, 3]), photo(3, [3.5, 3])]);
    // Errors -0.5, 1, -0.5 of labels with the mean 2; and -2 each of labels that are equal.
    assert.deepEqual(result.outputs, [
      {
        ...{ name: "rate", images: 3, absoluteError: 2 / 3, squaredError: 0.5 },
        ...{ variance: 3.5 / 3, r2: 1 - 1.5 / 3.5 },
      },
      { name: "strength", images: 3, absoluteError: 2, squaredError: 4, variance: 0, r2: undefined },
    ]);
    assert.deepEqual([result.classes, result.attributes, result.balancedAccuracy], Array(3).fill(undefined));
    assert.ok(Math.abs(result.accuracy - 1 / 3) < 1e-12); // an error of exactly 0.5 is right
    assert.equal(result.loss, (0.5 + 4) / 2);
  });

  test("are precise for labels far from 0, and unknown for equal ones", () => {
    const tally = new RegressionTally(["far", "equal"]);
    for (const value of [1e8, 1e8 + 1, 1e8 + 2]) {
      tally.add(Float32Array.of(1e8, 0.5), [value, 0.1]);
    }
    const [far, equal] = tally.figures().outputs!;
    assert.ok(Math.abs(far!.variance - 2 / 3) < 1e-6, `${far!.variance}`);
    assert.deepEqual([equal!.variance, equal!.r2], [0, undefined]);
  });
});

test("answers that are not finite end an evaluation", async () => {
  const { model } = await fakeModel({ logits: () => [NaN, 0, 0] });
  await assert.rejects(evaluate(model, [photo(0, 0)]), {
    name: "TrainingDiverged",
    message: /expected finite logits.*reset the model or restore another state/,
  });
});
