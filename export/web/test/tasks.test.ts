import assert from "node:assert/strict";
import { test } from "node:test";
import { SCHEDULES } from "../src/schedules.js";
import { TASKS } from "../src/tasks.js";

const { classification, multilabel, regression } = TASKS;

test("classification: loss and accuracy", () => {
  const logits = Float32Array.of(1, 3, -2);
  const sum = Math.exp(1) + Math.exp(3) + Math.exp(-2);
  assert.ok(Math.abs(classification.loss(logits, [0]) - (Math.log(sum) - 1)) < 1e-6);
  assert.ok(Number.isFinite(classification.loss(Float32Array.of(1000, -1000), [1])));
  assert.equal(classification.correct(logits, [1]), 1);
  assert.equal(classification.correct(logits, [0]), 0);
});

test("multilabel: loss, accuracy, labels", () => {
  const logits = Float32Array.of(2, -1);
  assert.ok(
    Math.abs(multilabel.loss(logits, [1, 0]) - (Math.log1p(Math.exp(-2)) + Math.log1p(Math.exp(-1))) / 2) <
      1e-6,
  );
  assert.equal(multilabel.correct(logits, [1, 1]), 0.5);
  assert.equal(multilabel.labelLength(7), 7);
  multilabel.checkLabels([0, 1, 0.5, 1], 2, 2);
  assert.throws(() => {
    multilabel.checkLabels([0, 1, 1.5, 1], 2, 2);
  }, /expected labels from 0 to 1 for each attribute, got 1.5/);
  assert.throws(() => {
    multilabel.checkLabels([0, 1], 2, 2);
  }, /expected 2 x 2 labels, got 2/);
});

test("regression: loss, accuracy, labels", () => {
  const predictions = Float32Array.of(2, -1, 0);
  assert.equal(regression.loss(predictions, [1, -1, 0.5]), (1 + 0.25) / 3);
  assert.equal(regression.correct(predictions, [1, -1, 0.5]), 2 / 3);
  assert.equal(regression.correct(predictions, [1, -1, 0.51]), 1 / 3);
  assert.equal(regression.guessLoss(3), 1);
  assert.equal(regression.labelLength(3), 3);
  regression.checkLabels([-3, 1e9], 1, 2);
  for (const bad of [NaN, -Infinity, 1e39]) {
    assert.throws(() => {
      regression.checkLabels([0, bad], 2, 1);
    }, /expected labels that are finite float32 numbers, got (NaN|-Infinity|1e\+39)/);
  }
  assert.throws(() => {
    regression.checkLabels([0, 1], 2, 2);
  }, /expected 2 x 2 labels, got 2; give a number for each output/);
});

test("schedules", () => {
  assert.deepEqual(
    [0, 5, 10].map((step) => SCHEDULES.cosine(step, 10, 2)),
    [2, 1, 0],
  );
  assert.equal(SCHEDULES.constant(7, 10, 2), 2);
});
