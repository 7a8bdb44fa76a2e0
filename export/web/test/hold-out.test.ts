import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { photoId } from "../src/photo-id.js";
import { holdOut, isHeldOut, splitWarning } from "../src/photo-set.js";
import type { LabeledPhoto } from "../src/photo-set.js";
import { goldenJson } from "./golden.js";

function photos(count: number, labels: readonly number[] = [0, 1]): LabeledPhoto[] {
  return labels.flatMap((label) =>
    Array.from({ length: count }, (_, index) => photo(`${label}-${index}`, label)),
  );
}

function photo(name: string, label: LabeledPhoto["label"]): LabeledPhoto {
  const id = createHash("sha256").update(name).digest("hex");
  return { id, label, read: () => Promise.reject(new Error("not needed")) };
}

const ids = (list: readonly { readonly id: string }[]) => list.map(({ id }) => id);

test("a photo is identified by its content", async () => {
  const bytes = Uint8Array.from({ length: 1000 }, (_, index) => index % 251);
  const expected = createHash("sha256").update(bytes).digest("hex");
  assert.equal(await photoId(bytes), expected);
  assert.equal(await photoId(new Blob([bytes])), expected);
  assert.equal(await photoId(bytes.buffer), expected);
});

describe("holding out", () => {
  test("is what the golden file says of each photo and seed", () => {
    const { held_out: golden } = goldenJson<{ held_out: { id: string; seed: number; held_out: boolean }[] }>(
      "plan.json",
    );
    assert.ok(golden.some((entry) => entry.held_out) && golden.some((entry) => !entry.held_out));
    for (const { id, seed, held_out: expected } of golden) {
      assert.equal(isHeldOut(id, seed), expected, `${seed}/${id}`);
    }
  });

  test("goes by the photo's content and the seed alone", () => {
    for (const [id, seed] of [
      ["a", 0],
      ["b", 7],
      ["c".repeat(64), 2 ** 53 - 1],
    ] as const) {
      const first = createHash("sha256").update(`${seed}/${id}`).digest().readUInt32BE(0);
      assert.equal(isHeldOut(id, seed), first < 2 ** 30);
    }
    const many = ids(photos(2000));
    const share = many.filter((id) => isHeldOut(id, 0)).length / many.length;
    assert.ok(share > 0.23 && share < 0.27, `${share}`);
    assert.notDeepEqual(
      many.filter((id) => isHeldOut(id, 0)),
      many.filter((id) => isHeldOut(id, 1)),
    );
  });

  for (const [few, more] of [
    [12, 13],
    [40, 44],
    [12, 24],
  ] as const) {
    test(`${few} then ${more} photos of each class: none changes sides`, () => {
      const [first, second] = [holdOut(photos(few), 0), holdOut(photos(more).reverse(), 0)];
      assert.ok(first.heldOut.length > 0);
      const [trained, held] = [new Set(ids(first.train)), new Set(ids(first.heldOut))];
      assert.deepEqual(
        ids(second.heldOut).filter((id) => trained.has(id)),
        [],
      );
      assert.deepEqual(
        ids(second.train).filter((id) => held.has(id)),
        [],
      );
      assert.equal(second.train.length + second.heldOut.length, 2 * more);
    });
  }

  test("keeps copies together, in whatever class", () => {
    const once = photos(40);
    const { train, heldOut } = holdOut([...once, ...once.map((photo) => ({ ...photo, label: 1 }))], 0);
    const held = new Set(ids(heldOut));
    assert.ok(held.size > 0);
    assert.ok(ids(train).every((id) => !held.has(id)));
  });

  const heldNames = Array.from({ length: 100 }, (_, index) => `photo ${index}`).filter((name) =>
    isHeldOut(photo(name, 0).id, 0),
  );
  const one = [...photos(8), ...heldNames.slice(0, 2).map((name) => photo(name, 3))];

  test("refuses a class of which all photos would be held out, and says what to do", () => {
    assert.throws(() => holdOut(one, 0), {
      name: "InputError",
      message:
        /photos of class 3 to train on, got 2, all of which are held out; add photos, .* or use another seed/,
    });
    const several = heldNames.slice(0, 2).map((name) => photo(name, [1, 0]));
    assert.throws(() => holdOut(several, 0), /all of which are held out/);
    assert.throws(() => holdOut(one, -1), /expected a seed that is an integer of 0 or more, got -1/);
  });

  test("arrays are held out by the same rule, and those of a regression are one group", () => {
    const arrays = photos(40).map(({ id }) => ({ id, label: [0.5], array: Float32Array.of(1) }));
    const { train, heldOut } = holdOut(arrays, 0);
    assert.deepEqual(
      ids(heldOut),
      ids(arrays).filter((id) => isHeldOut(id, 0)),
    );
    assert.equal(train.length + heldOut.length, 80);
    assert.ok(heldOut[0]!.array instanceof Float32Array);
    const held = heldOut.slice(0, 2).map((example) => ({ ...example, label: 1 }));
    assert.throws(() => holdOut(held, 0), /expected arrays of class 1 to train on, got 2, .*; add arrays/);
    const number = arrays.map((example) => ({ ...example, label: 0.5 }));
    assert.throws(
      () => holdOut(number, 0),
      /indices of classes or lists of numbers as labels, got 0\.5; give \[0\.5\]/,
    );
  });

  test("where trained photos are remembered such a class is trained on, and they stay so", () => {
    const { train, heldOut } = holdOut(one, 0, new Set());
    assert.equal(train.filter(({ label }) => label === 3).length, 2);
    assert.ok(heldOut.every(({ label }) => label !== 3));
    const trained = new Set(ids(train));
    const added = Array.from({ length: 20 }, (_, index) => photo(`later ${index}`, 3));
    const later = holdOut([...one, ...added], 0, trained);
    assert.ok(ids(later.heldOut).every((id) => !trained.has(id)));
    assert.ok(later.heldOut.some(({ label }) => label === 3));
    assert.deepEqual(
      ids(later.heldOut).filter((id) => ids(heldOut).includes(id)),
      ids(heldOut),
    );
  });

  test("of few photos it may be none", () => {
    const { train, heldOut } = holdOut(
      photos(60)
        .filter(({ id }) => !isHeldOut(id, 0))
        .slice(0, 5),
      0,
    );
    assert.deepEqual([train.length, heldOut], [5, []]);
  });

  test("a file of an older export had another rule", () => {
    assert.equal(splitWarning({ split: "content" }), "");
    assert.match(splitWarning({}), /some of the held-out photos may have been trained on/);
    assert.match(splitWarning({ split: "other" }), /held out other photos/);
    assert.match(
      splitWarning({ split: "" }, "arrays"),
      /test arrays were chosen: some of the held-out arrays may/,
    );
    assert.equal(splitWarning({ split: "content" }, "arrays"), "");
  });
});
