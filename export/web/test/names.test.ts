import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { crc32 } from "../src/crc32.js";
import { parseManifest } from "../src/manifest.js";
import { checkNames, enteredName, indexOfName } from "../src/names.js";
import { StateFile } from "../src/state-file.js";
import { goldenJson } from "./golden.js";

const GOLDEN = goldenJson<{
  accepted: readonly string[];
  refused: readonly { readonly bytes: string; readonly why: string }[];
}>("names.json");
const KEY = new Uint8Array(32);

/** Writes a state with these names and reads it. */
function throughFile(names: readonly string[]): readonly string[] {
  return StateFile.parse(new StateFile(KEY, Float32Array.of(1), names).toBytes(), KEY, 1).addedClasses;
}

/** A file with these bytes where its name belongs. */
function fileOf(name: Uint8Array): Uint8Array {
  const file = new StateFile(KEY, Float32Array.of(1), ["x"]).toBytes();
  const body = Buffer.concat([file.subarray(0, -9), Buffer.alloc(4), name]);
  body.writeUInt32LE(name.length, file.length - 9);
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc32(body));
  return Buffer.concat([body, sum]);
}

const REFUSED: Readonly<Record<string, readonly [string, RegExp]>> = {
  "an empty name": ["", /visible character, got ""/],
  "a line feed": ["two\nlines", /got U\+000A in "two\\nlines"/],
  NUL: ["a\0", /got U\+0000/],
  DEL: ["a\u007f", /got U\+007F/],
  "a C1 control": ["a\u0085b", /got U\+0085/],
  "U+009F": ["a\u009f", /got U\+009F/],
  "a separator of lines": ["a\u2028b", /got U\+2028/],
  "a separator of paragraphs": ["a\u2029", /got U\+2029/],
  "half a surrogate pair": ["a\ud83d", /got U\+D83D/],
  "256 bytes": ["é".repeat(128), /1 to 255 bytes in UTF-8, got 256/],
  spaces: ["  ", /visible character/],
  "U+3000 alone": ["\u3000", /visible character/],
  "joiners alone": ["\u200b\u200d\u2060\ufeff", /visible character/],
  "a soft hyphen": ["\u00ad", /visible character/],
  "marks of direction": ["\u202a\u202e\u2066\u206f", /visible character/],
};

describe("names of classes", () => {
  for (const name of GOLDEN.accepted) {
    test(`${JSON.stringify(name).slice(0, 30)} is accepted, and kept byte for byte by a file`, () => {
      checkNames([name]);
      assert.equal(enteredName(name), name.normalize("NFC"));
      assert.deepEqual(throughFile(["x", name]), ["x", name]);
      const file = fileOf(Buffer.from(name, "utf-8"));
      assert.deepEqual(Buffer.from(StateFile.parse(file, KEY, 1).toBytes()), file);
    });
  }

  for (const { bytes, why } of GOLDEN.refused) {
    test(`the bytes ${bytes.slice(0, 30)} are refused: ${why}`, () => {
      const name = Buffer.from(bytes, "hex");
      if (!name.includes("\n")) {
        // In a file they are two names.
        assert.throws(() => StateFile.parse(fileOf(name), KEY, 1), { name: "InputError" });
      }
      const text = name.toString("utf-8");
      if (Buffer.from(text, "utf-8").equals(name)) {
        assert.throws(() => enteredName(text), { name: "InputError" });
      }
    });
  }

  for (const [what, [name, message]] of Object.entries(REFUSED)) {
    test(`${what} is refused wherever it appears`, () => {
      const expected = { name: "InputError", message };
      assert.throws(() => enteredName(name), expected);
      assert.throws(() => new StateFile(KEY, Float32Array.of(1), ["x", name]), expected);
      const manifest = goldenJson<{ labels: string[] }>("model_float32.manifest.json");
      assert.throws(() => parseManifest({ ...manifest, labels: ["x", name] }), /labels: names, none twice/);
    });
  }

  test("a name that enters is brought to NFC, and taken in any form", () => {
    assert.equal(enteredName("e\u0301clair"), "éclair");
    for (const taken of ["éclair", "e\u0301clair"]) {
      assert.throws(() => enteredName("e\u0301clair", [taken]), /labels that differ, got "éclair" twice/);
      assert.throws(() => enteredName("éclair", [taken]), /labels that differ/);
    }
    assert.equal(enteredName("Éclair", ["éclair"]), "Éclair");
  });

  test("names in a file are the same only if their bytes are", () => {
    assert.deepEqual(throughFile(["é", "e\u0301"]), ["é", "e\u0301"]);
    assert.throws(() => throughFile(["é", "é"]), /labels that differ, got "é" twice/);
  });

  test("but no class is matched by one of them", () => {
    assert.equal(indexOfName(["a", "é"], "e\u0301"), 1);
    assert.equal(indexOfName(["a", "e\u0301"], "é"), 1);
    assert.equal(indexOfName(["a", "é"], "A"), -1);
    assert.throws(() => indexOfName(["é", "e\u0301"], "a"), {
      name: "InputError",
      message: /expected different names of classes, got "é" twice/,
    });
  });

  test("names of a state have at most 2^20 bytes together", () => {
    const names = Array.from({ length: 4096 }, (_, index) => String(index).padStart(255, "x"));
    checkNames(names);
    assert.equal(names.join("\n").length, 2 ** 20 - 1);
    assert.deepEqual(throughFile(names), names);
    const longer = [...names.slice(1), "a", "b"];
    assert.throws(() => new StateFile(KEY, Float32Array.of(1), [...names, "y"]), {
      name: "InputError",
      message: /at most 1048576 bytes together, got 1048577/,
    });
    assert.deepEqual(throughFile(longer), longer);
  });
});
