import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { parseManifest } from "../src/manifest.js";
import type { Manifest } from "../src/manifest.js";
import { moveState } from "../src/move-state.js";
import { fromHex } from "../src/sha256.js";
import { StateFile } from "../src/state-file.js";
import { golden, goldenJson, goldenText } from "./golden.js";

interface Moved {
  readonly file: string;
  readonly from: string;
  readonly to: string;
  readonly sha256: string;
}

interface NotMoved extends Omit<Moved, "sha256"> {
  readonly check: "classes" | "frozen" | "fingerprint" | "variables";
}

const STATES = goldenJson<{ moved: readonly Moved[]; not_moved: readonly NotMoved[] }>("states.json");
const WORDS = {
  classes: /expected the classes .* of the new model in this order, got/,
  frozen: /got other frozen weights in the new one/,
  fingerprint: /state_float32.tinytl belongs to the model with SHA-256/,
  variables: /expected the same trained variables in both models, got a difference at classifier\/bias/,
};

function manifest(tflite: string): Manifest {
  return parseManifest(goldenText(tflite.replace(/tflite$/, "manifest.json")));
}

/** The float32 model and its state, with changes. */
function changed(change: (state: Float32Array<ArrayBuffer>) => void): Uint8Array {
  const { sha256 } = manifest("model_float32.tflite");
  const bytes = golden("state_float32.tinytl");
  const { values } = StateFile.parse(bytes, fromHex(sha256), (bytes.length - 52) / 4);
  change(values);
  return new StateFile(fromHex(sha256), values).toBytes();
}

describe("moving a state", () => {
  for (const { file, from, to, sha256 } of STATES.moved) {
    test(`${file} of ${from} to ${to} gives the bytes of Python`, () => {
      const moved = moveState(golden(file), manifest(from), manifest(to));
      assert.equal(createHash("sha256").update(moved).digest("hex"), sha256);
    });
  }

  for (const { file, from, to, check } of STATES.not_moved) {
    test(`${file} of ${from} to ${to} is refused by its ${check}`, () => {
      assert.throws(() => moveState(golden(file), manifest(from), manifest(to), file), {
        name: "InputError",
        message: WORDS[check],
      });
    });
  }

  test("of older exports, which lack the digest of the frozen weights", () => {
    const [from, to] = [manifest("model_float32.tflite"), manifest("model_int8.tflite")];
    const older = { ...to, frozen_sha256: "" };
    assert.deepEqual(
      moveState(golden("state_float32.tinytl"), { ...from, frozen_sha256: "0".repeat(64) }, older),
      moveState(golden("state_float32.tinytl"), from, to),
    );
  });

  test("-0 becomes 0, and a state that could not be restored is refused", () => {
    const [from, to] = [manifest("model_float32.tflite"), manifest("model_int8.tflite")];
    const zeros = moveState(
      changed((state) => state.fill(-0)),
      from,
      to,
    );
    assert.ok(zeros.subarray(48, -4).every((byte) => byte === 0));
    const large = changed((state) => (state[0] = 2e15));
    assert.throws(() => moveState(large, from, to, "mine.tinytl"), {
      name: "InputError",
      message: /cannot move mine.tinytl: expected magnitudes that add up to less than 1000000000000000/,
    });
  });

  test("added classes must fit the model that the state was saved from", () => {
    const spare = manifest("model_spare.tflite");
    assert.throws(
      () => moveState(golden("state_spare.tinytl"), { ...spare, spare_classes: 0 }, spare),
      /has 1 added classes, expected at most 0/,
    );
    const taken = { ...spare, labels: [...spare.labels.slice(1), "zèbre"] };
    assert.throws(() => moveState(golden("state_spare.tinytl"), taken, taken), /zèbre/);
  });
});
