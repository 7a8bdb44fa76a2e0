import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { confusionRows } from "../page/confusion.js";
import { ClassTally } from "../src/recall.js";

const MATRIX = [
  [3, 1, 0, 0],
  [0, 2, 0, 2],
  [0, 0, 5, 0],
  [0, 0, 0, 0],
];

describe("the confusion matrix of the page", () => {
  test("has the classes of the page in their order, and the other outputs in one column", () => {
    const classes = [
      { name: "disk", output: 1 },
      { name: "stripes", output: 0 },
    ];
    assert.deepEqual(confusionRows(classes, MATRIX), {
      columns: ["disk", "stripes", "others"],
      rows: [
        { name: "disk", counts: [2, 0, 2] },
        { name: "stripes", counts: [1, 3, 0] },
      ],
    });
  });

  test("has no column of others without such an answer, and no row without photos", () => {
    const classes = [
      { name: "stripes", output: 0 },
      { name: "disk", output: 1 },
      { name: "leaf", output: 3 },
      { name: "not in the model yet", output: -1 },
    ];
    const { columns, rows } = confusionRows(classes, [[3, 1, 0, 0]]);
    assert.deepEqual(columns, ["stripes", "disk", "leaf", "not in the model yet"]);
    assert.deepEqual(rows, [{ name: "stripes", counts: [3, 1, 0, 0] }]);
  });
});

test("a tally counts each prediction for each class", () => {
  const tally = new ClassTally(["a", "b", "c"]);
  for (const [label, logits] of [
    [0, [2, 1, 0]],
    [0, [0, 1, 0]],
    [2, [0, 3, 1]],
    [1, [0, 3, 1]],
  ] as const) {
    tally.add(new Float32Array(logits), [label]);
  }
  const { confusion, classes } = tally.figures();
  assert.deepEqual(confusion, [
    [1, 1, 0],
    [0, 1, 0],
    [0, 1, 0],
  ]);
  assert.deepEqual(
    classes?.map(({ images, right }) => [images, right]),
    [
      [2, 1],
      [1, 1],
      [1, 0],
    ],
  );
});
