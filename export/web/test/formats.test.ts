import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { crc32 } from "../src/crc32.js";
import { parseManifest } from "../src/manifest.js";
import { plainSha256, sha256, toHex } from "../src/sha256.js";
import { StateFile } from "../src/state-file.js";
import { golden, goldenJson } from "./golden.js";

test("CRC-32 of zlib's check value", () => {
  assert.equal(crc32(new TextEncoder().encode("123456789")), 0xcbf43926);
  assert.equal(crc32(new Uint8Array()), 0);
});

test("SHA-256 with and without the browser's help", async () => {
  for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000]) {
    const bytes = Uint8Array.from({ length }, (_, index) => (index * 37) % 256);
    const expected = createHash("sha256").update(bytes).digest("hex");
    assert.equal(toHex(plainSha256(bytes)), expected);
    assert.equal(toHex(await sha256(bytes)), expected);
  }
});

test("the golden state file is read and written byte for byte", () => {
  interface Small {
    readonly file: string;
    readonly fingerprint: string;
    readonly values: readonly number[];
  }
  const { file, fingerprint, values } = goldenJson<{ small: Small }>("states.json").small;
  const bytes = golden(file);
  const key = new Uint8Array(Buffer.from(fingerprint, "hex"));
  const state = StateFile.parse(bytes, key, values.length);
  assert.deepEqual([...state.values], values.map(Math.fround));
  assert.deepEqual(new StateFile(key, state.values).toBytes(), bytes);
  const shifted = new Uint8Array(bytes.length + 3).subarray(3);
  shifted.set(bytes);
  assert.deepEqual(StateFile.parse(shifted, key, values.length).values, state.values);
});

test("a state that is not finite is not written", () => {
  assert.throws(() => new StateFile(new Uint8Array(32), Float32Array.of(1, Infinity)), {
    name: "InputError",
    message: /cannot save the state: expected finite values, got Infinity at index 1/,
  });
  assert.throws(() => new StateFile(new Uint8Array(3), Float32Array.of(1)), /fingerprint of 32 bytes, got 3/);
});

for (const [name, more] of [
  ["model_float32", ["input"]], // which all manifests but those of arrays have
  ["model_array", ["inputs"]],
] as const) {
  test(`what the client needs of ${name}.manifest.json is what the schema requires`, () => {
    const schema = goldenJson<{ required: readonly string[] }>("../docs/manifest.schema.json");
    const manifest = goldenJson<Record<string, unknown>>(`${name}.manifest.json`);
    const needed = Object.keys(manifest).filter((key) => {
      const rest = Object.fromEntries(Object.entries(manifest).filter(([other]) => other !== key));
      try {
        parseManifest(rest);
        return false;
      } catch {
        return true;
      }
    });
    assert.ok(needed.includes("sha256"));
    assert.deepEqual(
      needed.filter((key) => !schema.required.includes(key)),
      more,
    );
  });
}

test("a manifest of an older export has the rate that most schemes have", () => {
  const { learning_rate: given, ...older } = goldenJson<Record<string, unknown>>(
    "model_float32.manifest.json",
  );
  assert.equal(typeof given, "number");
  assert.equal(parseManifest(older).learning_rate, 1e-3);
  assert.equal(parseManifest({ ...older, learning_rate: 0.02 }).learning_rate, 0.02);
  for (const bad of [0, -1, "1", null]) {
    assert.throws(() => parseManifest({ ...older, learning_rate: bad }), /learning_rate: a number above 0/);
  }
});

test("fields that manifests of older exports lack", () => {
  const older = goldenJson<Record<string, unknown>>("model_float32.manifest.json");
  const data = older.data as Record<string, unknown>;
  for (const key of ["schedule", "learning_rate_from"]) {
    Reflect.deleteProperty(older, key);
  }
  const withoutSplit = Object.fromEntries(Object.entries(data).filter(([key]) => key !== "split"));
  const parsed = parseManifest({ ...older, data: withoutSplit });
  assert.deepEqual(
    [parsed.schedule, parsed.learning_rate_from, parsed.data.split],
    ["cosine", undefined, undefined],
  );
  const fields = { schedule: "constant", learning_rate_from: "run", data: { ...data, split: "content" } };
  const newer = parseManifest({ ...older, ...fields });
  assert.deepEqual(
    [newer.schedule, newer.learning_rate_from, newer.data.split],
    ["constant", "run", "content"],
  );
  for (const [key, bad] of [
    ["schedule", "linear"],
    ["schedule", null],
    ["learning_rate_from", "x"],
    ["data", { ...data, split: 1 }],
  ] as const) {
    assert.throws(() => parseManifest({ ...older, [key]: bad }), {
      name: "InputError",
      message: new RegExp(`expected a manifest with ${key}: `),
    });
  }
});

for (const text of ["", "[]", "3", "null", '"text"', "{"]) {
  test(`${JSON.stringify(text)} is no manifest`, () => {
    assert.throws(() => parseManifest(text), { name: "InputError", message: /^expected .*; choose / });
  });
}
