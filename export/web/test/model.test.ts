import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, beforeEach, describe, test } from "node:test";
import type { Engine } from "../src/engine.js";
import { InputError } from "../src/errors.js";
import type { Manifest } from "../src/manifest.js";
import { StateFile } from "../src/state-file.js";
import { TrainableModel } from "../src/trainable-model.js";
import { golden, goldenJson, goldenText } from "./golden.js";
import type { GoldenAnswers, GoldenTraining } from "./golden.js";
import { loadGolden, startNodeEngine } from "./node-engine.js";

for (const kernels of ["float32", "int8"] as const) {
  describe(`the golden model of ${kernels}`, () => {
    const training = goldenJson<GoldenTraining>(`training_${kernels}.json`);
    const pixels = training.photos.map(({ pixels }) => golden(pixels));
    const { tolerances } = training;
    let model: TrainableModel;
    before(async () => {
      model = await loadGolden(`model_${kernels}`);
    });
    after(() => model.delete());

    async function train(step: (typeof training.refused)[number]) {
      const images = Uint8Array.from(step.photos.flatMap((photo) => [...pixels[photo]!]));
      return model.train(images, step.labels, step.learning_rate);
    }

    async function checkAnswers(expected: GoldenAnswers) {
      for (const [index, image] of pixels.entries()) {
        const { logits, probabilities } = await model.infer(image);
        assertClose(logits, expected.logits[index]!, tolerances.logits);
        assertClose(probabilities, expected.probabilities[index]!, tolerances.probabilities);
      }
    }

    test("answers as Python before anything was learned", () =>
      checkAnswers(training.before.without_xnnpack));

    test("saves the bytes that Python saves of the exported state", async () => {
      assert.equal(
        createHash("sha256")
          .update(await model.save())
          .digest("hex"),
        training.exported_state_sha256,
      );
    });

    test("twenty steps have Python's losses and end in its state", async () => {
      await model.reset();
      const start = await model.state();
      for (const step of training.steps) {
        const result = await train(step);
        assertClose([result.loss], [step.without_xnnpack.loss], tolerances.loss);
        assertClose([result.accuracy], [step.without_xnnpack.accuracy], tolerances.accuracy + 1e-6);
        assert.equal(result.applied, true);
      }
      const python = StateFile.parse(golden(training.state_after), model.fingerprint, model.stateSize).values;
      const ours = await model.state();
      const change = Math.hypot(...python.map((value, index) => value - start[index]!));
      const difference = Math.hypot(...python.map((value, index) => value - ours[index]!));
      assert.ok(change > 0);
      assert.ok(difference <= tolerances.update * change, `${difference} of ${change}`);
    });

    test("takes Python's state, answers like it, and saves the same bytes", async () => {
      const file = golden(training.state_after);
      await model.restore(file);
      assert.deepEqual(await model.save(), file);
      await checkAnswers(training.after.without_xnnpack);
      await model.reset();
      assert.notDeepEqual(await model.save(), file);
      await model.restore(new Blob([file]));
      assert.deepEqual(new Uint8Array(await (await model.saveBlob()).arrayBuffer()), file);
    });

    test("a step with a label that is no class changes nothing, even past the client's own check", async () => {
      const state = await model.state();
      for (const step of training.refused) {
        await assert.rejects(train(step), {
          name: "InputError",
          message: /expected labels that are integers from 0 to 4, got (5|-1)/,
        });
        const images = Uint8Array.from(step.photos.flatMap((photo) => [...pixels[photo]!]));
        const inputs = {
          image: images,
          label: Int32Array.from(step.labels),
          learning_rate: Float32Array.of(1),
        };
        const outputs = await (model as unknown as { engine: Engine }).engine.run("train", inputs);
        assert.equal(outputs.applied![0], 0);
      }
      assert.deepEqual(await model.state(), state);
    });
  });
}

for (const [key, name] of [
  ["damaged", "model_float32"],
  ["damaged_names", "model_spare"],
] as const) {
  describe(`states of ${name} that have to be refused`, () => {
    interface Damage {
      readonly name: string;
      readonly check: string;
      readonly length: number;
      readonly edits: readonly { readonly offset: number; readonly bytes: string }[];
    }
    const messages: Readonly<Record<string, RegExp>> = {
      magic: /not a state file: expected it to begin with TINYTL/,
      version: /format version \d+, expected 1 or 2/,
      length: /(cut short|damaged): expected \d+( to \d+)? bytes/,
      checksum: /damaged: expected checksum [0-9a-f]{8}, got [0-9a-f]{8}/,
      fingerprint: /belongs to the model with SHA-256/,
      N: /has \d+ values, expected the \d+ of the model/,
      finite: /expected finite values, got/,
      names:
        /(names of classes that cannot be used|expected labels that differ|has 3 added classes, expected at most 2)/,
      outputs: /expected 7 outputs in use, got 6/,
      slots: /expected step of step of 0 or more, got -1/,
      restore: /add up to over 1e15/,
    };
    const { file, damages } =
      goldenJson<Record<typeof key, { file: string; damages: readonly Damage[] }>>("states.json")[key];
    let model: TrainableModel;
    let trained: Uint8Array<ArrayBuffer>;
    before(async () => {
      model = await loadGolden(name);
      trained = golden(file);
      await model.restore(trained);
    });
    after(() => model.delete());

    // A decomposed name is another name, which docs/formats.md lets a reader take.
    for (const damage of damages.filter(({ name }) => name !== "same name decomposed")) {
      test(damage.name, async () => {
        const bytes = new Uint8Array(damage.length);
        bytes.set(trained.subarray(0, damage.length));
        for (const { offset, bytes: edit } of damage.edits) {
          bytes.set(Buffer.from(edit, "hex"), offset);
        }
        await assert.rejects(model.restore(bytes), { name: "InputError", message: messages[damage.check]! });
        assert.deepEqual(await model.save(), trained);
      });
    }
  });
}

describe("a class that is added", () => {
  interface Spare extends GoldenTraining {
    readonly class: string;
    readonly label: number;
    readonly added_state_sha256: string;
  }
  const spare = goldenJson<Spare>("spare.json");
  const pixels = goldenJson<GoldenTraining>("training_float32.json").photos.map(({ pixels }) =>
    golden(pixels),
  );
  let model: TrainableModel;
  before(async () => {
    model = await loadGolden("model_spare");
  });
  after(() => model.delete());

  test("is trained as in Python", async () => {
    assert.deepEqual([model.numClasses, model.spareClasses], [5, 2]);
    await assert.rejects(model.addClass("stripes"), /expected labels that differ, got "stripes" twice/);
    await assert.rejects(model.addClass(" "), /expected a name with a visible character/);
    assert.equal(await model.addClass(spare.class), spare.label);
    assert.deepEqual([model.numClasses, model.spareClasses, model.classNames.at(-1)], [6, 1, spare.class]);
    assert.equal(
      createHash("sha256")
        .update(await model.save())
        .digest("hex"),
      spare.added_state_sha256,
    );
    for (const step of spare.steps) {
      const images = Uint8Array.from(step.photos.flatMap((photo) => [...pixels[photo]!]));
      const result = await model.train(images, step.labels, step.learning_rate);
      assertClose([result.loss], [step.without_xnnpack.loss], spare.tolerances.loss);
    }
    for (const { labels } of spare.refused) {
      await assert.rejects(model.train(new Uint8Array(4 * 12288), labels, 1), /from 0 to 5, got 6/);
    }
    const file = golden(spare.state_after);
    await model.restore(file);
    assert.deepEqual(await model.save(), file);
    for (const [index, image] of pixels.entries()) {
      assertClose(
        (await model.infer(image)).logits,
        spare.after.without_xnnpack.logits[index]!,
        spare.tolerances.logits,
      );
    }
    await model.reset();
    assert.deepEqual([model.numClasses, model.spareClasses], [5, 2]);
    await model.addClass("a");
    await model.addClass("b");
    await assert.rejects(model.addClass("c"), /expected a spare output for another class, got none/);
  });

  test("can be called something else, and nothing but its name changes", async () => {
    await model.reset();
    const label = await model.addClass("a");
    const state = await model.state();
    await model.renameClass(label, "e\u0301");
    assert.deepEqual(model.classNames.slice(-1), ["\u00e9"]);
    assert.deepEqual(await model.state(), state);
    const file = await model.save();
    assert.deepEqual(StateFile.parse(file, model.fingerprint, model.stateSize).addedClasses, ["\u00e9"]);
    for (const [wrong, name, message] of [
      [label, "stripes", /expected labels that differ, got "stripes" twice/],
      [label, " ", /expected a name with a visible character/],
      [0, "b", /expected the label of an added class, got 0; labels below 5 are those of exported classes/],
      [label + 1, "b", /expected the label of an added class, got 6/],
    ] as const) {
      await assert.rejects(model.renameClass(wrong, name), { name: "InputError", message });
    }
    assert.deepEqual(await model.save(), file);
  });
});

describe("names of a state that another client has written", () => {
  let model: TrainableModel;
  before(async () => {
    model = await loadGolden("model_spare");
  });
  after(() => model.delete());

  test("are shown and written back byte for byte", async () => {
    await model.addClass("x");
    const saved = StateFile.parse(await model.save(), model.fingerprint, model.stateSize);
    // The client in C takes names as they are: decomposed, and beside the same name composed.
    for (const name of ["e\u0301clair", " a\u00a0\u200db ", "\u2009z"]) {
      const file = new StateFile(model.fingerprint, saved.values, [name]).toBytes();
      await model.restore(file);
      assert.deepEqual(model.classNames.slice(-1), [name]);
      assert.deepEqual(await model.save(), file);
      await model.renameClass(5, name);
      assert.deepEqual(await model.save(), file);
    }
  });

  test("the same name in another form is not added", async () => {
    await model.reset();
    await model.addClass("violet");
    for (const name of ["e\u0301clair", "éclair", "violet"]) {
      await assert.rejects(model.addClass(name), /expected labels that differ/);
      await assert.rejects(model.addClass("a".repeat(256)), /1 to 255 bytes/);
    }
    assert.deepEqual(model.classNames.slice(-2), ["éclair", "violet"]);
  });
});

describe("calls that overlap are carried out in their order", () => {
  let model: TrainableModel;
  let images: Uint8Array;
  before(async () => {
    model = await loadGolden("model_spare");
    images = new Uint8Array(4 * 64 * 64 * 3).map((_, index) => (index * 37) % 256);
  });
  beforeEach(() => model.reset());
  after(() => model.delete());

  test("two classes are added", async () => {
    assert.deepEqual(await Promise.all([model.addClass("violet"), model.addClass("brown")]), [5, 6]);
    assert.deepEqual(model.classNames.slice(5), ["violet", "brown"]);
    const twice = await Promise.allSettled([model.reset(), model.addClass("x"), model.addClass("x")]);
    assert.deepEqual(
      twice.map(({ status }) => status),
      ["fulfilled", "fulfilled", "rejected"],
    );
    assert.deepEqual(model.classNames.slice(5), ["x"]);
  });

  test("no step is lost, whatever else is called", async () => {
    const others: Readonly<Record<string, () => Promise<unknown>>> = {
      addClass: () => model.addClass("violet"),
      renameClass: () => model.addClass("a").then(() => model.renameClass(5, "b")),
      infer: () => model.infer(images.subarray(0, 12288)),
      state: () => model.state(),
      save: () => model.save(),
      saveBlob: () => model.saveBlob(),
    };
    for (const [name, other] of Object.entries(others)) {
      await model.reset();
      const start = await model.state();
      const [, step] = await Promise.all([other(), model.train(images, [0, 1, 2, 3], 0.01)]);
      assert.ok(step.applied);
      const moved = (await model.state()).some((value, index) => index < 5 && value !== start[index]);
      assert.ok(moved, `${name}: the step was applied and is lost`);
    }
  });

  test("each sees what those before have done, and nothing of those after", async () => {
    const start = await model.save();
    const [before, , , during, label, named, , after] = await Promise.all([
      model.save(),
      model.train(images, [0, 1, 2, 3], 0.01),
      model.train(images, [0, 1, 2, 3], 0.01),
      model.save(),
      model.addClass("violet"),
      model.train(images, [5, 5, 5, 5], 0.01),
      model.renameClass(5, "brown"),
      model.save(),
    ]);
    assert.deepEqual(before, start);
    assert.notDeepEqual(during, start);
    assert.deepEqual([label, named.applied], [5, true]);
    const { addedClasses } = StateFile.parse(after, model.fingerprint, model.stateSize);
    assert.deepEqual(addedClasses, ["brown"]);
    const [, again, , back] = await Promise.all([
      model.restore(new Blob([during])),
      model.save(),
      model.reset(),
      model.state(),
      model.setState(new Float32Array(3)).catch(() => undefined),
    ]);
    assert.deepEqual(again, during);
    const exported = StateFile.parse(start, model.fingerprint, model.stateSize).values;
    assert.ok(back.every((value, index) => value === exported[index])); // zeros of both signs are the same
  });

  test("an array that is given may be reused at once", async () => {
    const [pixels, labels] = [images.slice(), [0, 1, 2, 3]];
    const expected = await model.train(images, [0, 1, 2, 3], 0);
    const step = model.train(pixels, labels, 0);
    pixels.fill(0);
    labels.fill(9);
    assert.deepEqual(await step, expected);
    const [state, image] = [await model.state(), images.slice(0, 12288)];
    const answer = await model.infer(image);
    const [set, infer, copy] = [model.setState(state), model.infer(image), state.slice()];
    state.fill(1);
    image.fill(0);
    await set;
    assert.deepEqual(await infer, answer);
    assert.deepEqual(await model.state(), copy);
    const file = await model.save();
    const restored = model.restore(file);
    file.fill(0);
    await restored;
  });

  test("the model is deleted after them", async () => {
    const deleted = await loadGolden("model_spare");
    const [step] = await Promise.all([deleted.train(images, [0, 1, 2, 3], 0.01), deleted.delete()]);
    assert.ok(step.applied);
    await assert.rejects(deleted.state(), InputError);
  });
});

describe("input that does not fit", () => {
  let model: TrainableModel;
  before(async () => {
    model = await loadGolden();
  });
  after(() => model.delete());

  const images = () => new Uint8Array(4 * 64 * 64 * 3);
  const refused: readonly (readonly [string, () => Promise<unknown>, RegExp])[] = [
    [
      "too few pixels",
      () => model.infer(new Uint8Array(10)),
      /an image of 64 x 64 x 3 = 12288 bytes, got Uint8Array of 10/,
    ],
    [
      "one image of a batch",
      () => model.train(new Uint8Array(12288), [0], 1e-3),
      /images of 4 x 64 x 64 x 3 = 49152 bytes/,
    ],
    ["floats", () => model.infer(new Float32Array(12288)), /got Float32Array of 12288/],
    ["too few labels", () => model.train(images(), [0, 1], 1e-3), /expected 4 labels, got 2/],
    ["half a label", () => model.train(images(), [0, 1, 2, 0.5], 1e-3), /integers from 0 to 4, got 0.5/],
    ["a negative rate", () => model.train(images(), [0, 1, 2, 3], -1), /finite and not negative, got -1/],
    ["no rate", () => model.train(images(), [0, 1, 2, 3], NaN), /finite and not negative, got NaN/],
    ["a rate beyond float32", () => model.train(images(), [0, 1, 2, 3], 1e39), /finite and not negative/],
    ["a short state", () => model.setState(new Float32Array(3)), /float32 values, got Float32Array of 3/],
  ];
  for (const [name, call, message] of refused) {
    test(name, async () => {
      const state = await model.state();
      await assert.rejects(call(), { name: "InputError", message });
      assert.deepEqual(await model.state(), state);
    });
  }

  test("another file than the manifest's", async () => {
    const bytes = golden("model_float32.tflite");
    bytes[bytes.length - 1]! ^= 1;
    await assert.rejects(
      TrainableModel.load(bytes, goldenText("model_float32.manifest.json")),
      /expected the model with SHA-256 [0-9a-f]{16}\.\.\. of its manifest, got/,
    );
  });

  const changes: readonly (readonly [string, (manifest: Record<string, unknown>) => void, RegExp])[] = [
    ["another format", (manifest) => (manifest.format_version = 3), /format_version is 2, got 3/],
    ["contract 1", (manifest) => (manifest.contract = 1), /contract is 2 or 3, got 1/],
    ["contract 4", (manifest) => (manifest.contract = 4), /contract is 2 or 3, got 4/],
    [
      "regression of contract 2",
      (manifest) => (manifest.task = "regression"),
      /contract: 3 for arrays and for regression, got 2/,
    ],
    [
      "regression of a file of classes",
      (manifest) => Object.assign(manifest, { task: "regression", contract: 3 }),
      /train.label of the model: expected float32 \[4, 5\], got int32 \[4\]/,
    ],
    ["no input", (manifest) => delete manifest.input, /input: a size of two numbers .* got nothing/],
    ...["crop", "crop_area", "crop_aspect", "flip", "color"].map(
      (field) =>
        [
          `no data.${field}`,
          (manifest: Record<string, unknown>) =>
            Object.assign(manifest.data as object, { [field]: undefined }),
          /data: settings of the changes of training images/,
        ] as const,
    ),
    [
      "arrays for a file of images",
      (manifest) => {
        delete manifest.input;
        const array = { dtype: "float32", shape: [64, 64, 3], meaning: "" };
        Object.assign(manifest, { contract: 3, data: { split_seed: 0 }, inputs: { array } });
      },
      /infer.array of the model is missing/,
    ],
    [
      "other images in inputs",
      (manifest) => (manifest.inputs = { image: { dtype: "uint8", shape: [64, 32, 3], meaning: "" } }),
      /expected 64 x 64 x 3 as inputs.image.shape in the manifest, got 64 x 32 x 3/,
    ],
    [
      "features of a prefix",
      (manifest) => (manifest.inputs = { features: { dtype: "int8", shape: [8, 8, 4], meaning: "" } }),
      /expected a model of images or arrays, got one of the features of an int8 prefix/,
    ],
    ["no labels", (manifest) => (manifest.labels = []), /labels: names, none twice, got \[\]/],
    ["a label twice", (manifest) => (manifest.labels = ["é", "e\u0301"]), /labels: names, none twice/],
    [
      "another number of labels",
      (manifest) => (manifest.labels = ["a", "b"]),
      /expected 5 labels and spare classes in the manifest, got 2/,
    ],
    [
      "another batch",
      (manifest) => (manifest.batch_size = 8),
      /expected 4 images of a batch in the manifest, got 8/,
    ],
    [
      "another task",
      (manifest) => (manifest.task = "multilabel"),
      /train.label of the model: expected float32 \[4, 5\], got int32 \[4\]/,
    ],
    [
      "spare attributes",
      (manifest) => Object.assign(manifest, { task: "multilabel", spare_classes: 1 }),
      /spare_classes: 0, since the task is multilabel, got 1/,
    ],
    ["a gap", (manifest) => (manifest.state as unknown[]).shift(), /parts without gaps/],
    ["no text", (manifest) => delete manifest.sha256, /64 hexadecimal digits, got nothing/],
  ];
  for (const [name, change, message] of changes) {
    test(`a manifest with ${name}`, async () => {
      const manifest = goldenJson<Manifest & Record<string, unknown>>("model_float32.manifest.json");
      change(manifest);
      const engine = await startNodeEngine();
      await assert.rejects(TrainableModel.load(golden("model_float32.tflite"), manifest, { engine }), {
        name: "InputError",
        message,
      });
    });
  }

  test("a manifest that is no JSON", async () => {
    await assert.rejects(
      TrainableModel.load(golden("model_float32.tflite"), "{"),
      /expected the manifest to be JSON/,
    );
  });

  test("a model that was deleted", async () => {
    const deleted = await loadGolden();
    await deleted.delete();
    await deleted.delete();
    await assert.rejects(deleted.state(), InputError);
  });
});

test("the heap stays where it was over 1000 steps", async () => {
  const model = await loadGolden();
  const images = new Uint8Array(4 * 64 * 64 * 3).map((_, index) => index % 251);
  const heap: number[] = [];
  for (let step = 0; step < 1000; step++) {
    await model.train(images, [0, 1, 2, 3], 1e-4);
    await model.infer(images.subarray(0, 12288));
    if (step % 100 === 9) {
      await model.save();
      heap.push(await model.heapBytes());
    }
  }
  await model.delete();
  assert.ok(heap[0]! > 1e6);
  assert.deepEqual(new Set(heap).size, 1, `heap of ${heap.join(", ")} bytes`);
});

function assertClose(actual: ArrayLike<number>, expected: readonly number[], tolerance: number): void {
  assert.equal(actual.length, expected.length);
  expected.forEach((value, index) => {
    assert.ok(
      Math.abs(actual[index]! - value) <= tolerance,
      `expected ${value} +- ${tolerance}, got ${actual[index]!}`,
    );
  });
}
