import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, beforeEach, describe, test } from "node:test";
import { requireClassesOfPhotos } from "../page/model-files.js";
import type { Engine } from "../src/engine.js";
import { evaluate } from "../src/evaluate.js";
import { arrayId } from "../src/labeled-array.js";
import type { LabeledArray } from "../src/labeled-array.js";
import { parseManifest } from "../src/manifest.js";
import type { ArrayManifest } from "../src/manifest.js";
import { holdOut } from "../src/photo-set.js";
import type { LabeledPhoto } from "../src/photo-set.js";
import { Photo } from "../src/pixels.js";
import { OrderPlan } from "../src/plan.js";
import type { ProgressStore, TrainingProgress } from "../src/progress-store.js";
import { StateFile } from "../src/state-file.js";
import { TrainableModel } from "../src/trainable-model.js";
import { Trainer } from "../src/trainer.js";
import { waveform } from "../src/waveform.js";
import { fakeModel } from "./fake-model.js";
import { golden, goldenJson, goldenText } from "./golden.js";
import type { GoldenAnswers, GoldenStepResult, GoldenTraining } from "./golden.js";
import { loadGolden, startNodeEngine } from "./node-engine.js";

type Reference = "xnnpack" | "without_xnnpack" | "tensorflow";

/** A step of `array.json` or `regression.json`. */
interface ArrayStep extends Readonly<Record<Reference, GoldenStepResult>> {
  readonly arrays: readonly number[];
  /** Classes, or the numbers of each array. */
  readonly labels: readonly (number | readonly number[])[];
  readonly learning_rate: number;
  readonly not_finite?: { readonly index: readonly number[]; readonly value: "nan" | "inf" | "-inf" };
}

/** `array.json` or `regression.json`. */
interface ArrayTraining extends Pick<
  GoldenTraining,
  "tolerances" | "exported_state_sha256" | "before" | "after" | "state_after"
> {
  readonly arrays: { readonly file: string; readonly shape: readonly [number, number, number] };
  readonly steps: readonly ArrayStep[];
  readonly refused: readonly ArrayStep[];
  readonly continued: readonly Omit<ArrayStep, "tensorflow">[];
}

const NUMBERS = { nan: NaN, inf: Infinity, "-inf": -Infinity } as const;
const [COUNT, SAMPLES, SENSORS] = goldenJson<ArrayTraining>("array.json").arrays.shape;
const LENGTH = SAMPLES * SENSORS;
const ALL = new Float32Array(golden("arrays.raw").buffer);
const ARRAYS = Array.from({ length: COUNT }, (_, index) => ALL.slice(index * LENGTH, (index + 1) * LENGTH));

/** What the signature `train` takes for a step. */
function batchOf(step: Pick<ArrayStep, "arrays" | "labels" | "not_finite">) {
  const arrays = Float32Array.from(step.arrays.flatMap((index) => [...ARRAYS[index]!]));
  if (step.not_finite) {
    const [sample, sensor] = step.not_finite.index as [number, number];
    arrays[sample * SENSORS + sensor] = NUMBERS[step.not_finite.value];
  }
  return { arrays, labels: step.labels.flat() };
}

function take(model: TrainableModel, step: Omit<ArrayStep, "tensorflow">) {
  const { arrays, labels } = batchOf(step);
  return model.train(arrays, labels, step.learning_rate);
}

function assertClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  assert.equal(actual.length, expected.length);
  Array.from(expected).forEach((value, index) => {
    const got = actual[index]!;
    assert.ok(Math.abs(got - value) <= tolerance, `expected ${value} +- ${tolerance}, got ${got}`);
  });
}

for (const kind of ["array", "regression"] as const) {
  describe(`the golden model ${kind}`, () => {
    const training = goldenJson<ArrayTraining>(`${kind}.json`);
    const { tolerances } = training;
    let model: TrainableModel;
    before(async () => {
      model = await loadGolden(`model_${kind}`);
    });
    beforeEach(() => model.reset());
    after(() => model.delete());

    async function checkAnswers(expected: GoldenAnswers) {
      for (const [index, array] of ARRAYS.entries()) {
        const { logits, probabilities } = await model.infer(array);
        assertClose(logits, expected.logits[index]!, tolerances.logits);
        assertClose(probabilities, expected.probabilities[index]!, tolerances.probabilities);
      }
    }

    async function checkSteps(
      steps: readonly Omit<ArrayStep, "tensorflow">[],
      references: readonly Reference[],
    ) {
      for (const step of steps) {
        const result = await take(model, step);
        for (const reference of references) {
          const expected = (step as ArrayStep)[reference];
          assertClose([result.loss], [expected.loss], tolerances.loss * expected.loss);
          assertClose([result.accuracy], [expected.accuracy], tolerances.accuracy);
          assert.equal(result.applied, expected.applied === 1);
        }
      }
    }

    test("is what its manifest says", () => {
      assert.deepEqual([model.inputName, model.inputShape, model.sampleRate], ["array", [40, 6], 0]);
      assert.deepEqual([model.task.name, model.batchSize], [kind === "array" ? "classification" : kind, 4]);
      assert.deepEqual(model.manifest.data, { split_seed: 0, split: "" });
      assert.match((model.manifest as ArrayManifest).inputs.array.meaning, /40 samples, 20 ms apart/);
    });

    test("answers, trains and saves as Python does, and goes on from Python's state", async () => {
      await checkAnswers(training.before.without_xnnpack);
      const exported = await model.save();
      assert.equal(createHash("sha256").update(exported).digest("hex"), training.exported_state_sha256);
      const start = await model.state();
      await checkSteps(training.steps, ["xnnpack", "without_xnnpack", "tensorflow"]);
      const file = golden(training.state_after);
      const python = StateFile.parse(file, model.fingerprint, model.stateSize).values;
      const ours = await model.state();
      const change = Math.hypot(...python.map((value, index) => value - start[index]!));
      const difference = Math.hypot(...python.map((value, index) => value - ours[index]!));
      assert.ok(change > 0 && difference <= tolerances.update * change, `${difference} of ${change}`);
      await model.restore(file);
      assert.deepEqual(await model.save(), file);
      await checkAnswers(training.after.xnnpack);
      await checkSteps(training.continued, ["xnnpack", "without_xnnpack"]);
      await model.reset();
      assert.ok((await model.state()).every((value, index) => value === start[index])); // zeros of both signs are the same
    });

    test("refused steps change nothing, neither here nor in the file", async () => {
      const state = await model.state();
      assert.deepEqual(
        training.refused.flatMap(({ not_finite }) => not_finite?.value ?? []),
        ["nan", "inf", "-inf"],
      );
      for (const step of training.refused) {
        const { not_finite: notFinite } = step;
        const message = notFinite
          ? new RegExp(
              `finite numbers in arrays, got (NaN|-?Infinity) at \\[0, ${notFinite.index.join(", ")}\\]`,
            )
          : /expected labels that are integers from 0 to 2, got (3|-1)/;
        await assert.rejects(take(model, step), { name: "InputError", message });
        const { arrays, labels } = batchOf(step);
        const outputs = await (model as unknown as { engine: Engine }).engine.run("train", {
          array: arrays,
          label: kind === "array" ? Int32Array.from(labels) : Float32Array.from(labels),
          learning_rate: Float32Array.of(step.learning_rate),
        });
        assert.equal(outputs.applied![0], 0);
      }
      assert.deepEqual(await model.state(), state);
    });

    test("mistakes are farther away than the tolerance", async () => {
      const { arrays, labels } = batchOf(training.steps[0]!);
      const wanted = training.steps[0]!.xnnpack.loss;
      const columns = arrays.map((_, at) => {
        const [start, within] = [at - (at % LENGTH), at % LENGTH];
        return arrays[start + (within % SAMPLES) * SENSORS + Math.floor(within / SAMPLES)]!;
      });
      for (const wrong of [arrays.map((value) => value * 127), arrays.slice().reverse(), columns]) {
        const { loss } = await model.train(wrong, labels, 0);
        assert.ok(Math.abs(loss - wanted) > 10 * tolerances.loss * wanted, `${loss}`);
      }
    });
  });
}

describe("arrays", () => {
  const { steps } = goldenJson<ArrayTraining>("array.json");
  let model: TrainableModel;
  let regression: TrainableModel;
  let examples: LabeledArray[];
  let numbered: LabeledArray[];
  before(async () => {
    [model, regression] = [await loadGolden("model_array"), await loadGolden("model_regression")];
    const numbers = new Map(
      goldenJson<ArrayTraining>("regression.json").steps.flatMap(({ arrays, labels }) =>
        arrays.map((array, place) => [array, labels[place] as readonly number[]] as const),
      ),
    );
    examples = await Promise.all(
      ARRAYS.map(async (array, index) => ({ id: await arrayId(array), label: index % 3, array })),
    );
    numbered = examples.map((example, index) => ({ ...example, label: numbers.get(index)! }));
  });
  beforeEach(() => Promise.all([model.reset(), regression.reset()]));
  after(() => Promise.all([model.delete(), regression.delete()]));

  const photo: LabeledPhoto = {
    id: "a",
    label: 0,
    read: () => Promise.resolve(new Photo(8, 8, new Uint8Array(192))),
  };
  const augmentation = {
    crop: false,
    crop_area: [1, 1],
    crop_aspect: [1, 1],
    flip: true,
    color: "none",
  } as const;

  test("are known by the SHA-256 of their numbers in little-endian float32", async () => {
    const bytes = Buffer.alloc(12);
    [1.5, -2, 3e-8].forEach((value, index) => bytes.writeFloatLE(value, 4 * index));
    const expected = createHash("sha256").update(bytes).digest("hex");
    assert.equal(await arrayId(Float32Array.of(1.5, -2, 3e-8)), expected);
    assert.equal(await arrayId(Float32Array.of(0, 1.5, -2, 3e-8).subarray(1)), expected);
  });

  test("a trainer takes them in the plan's order as they are, evaluates, and resumes to the same bytes", async () => {
    const { train, heldOut } = holdOut(examples, 5);
    assert.ok(heldOut.length > 0 && train.length > 4);
    const options = { epochs: 4, learningRate: 0.1, seed: 3, heldOut, saveEvery: 1 };
    const given: number[][] = [];
    const step = model.train.bind(model);
    model.train = (inputs, labels, rate) => {
      given.push([...inputs]);
      return step(inputs, labels, rate);
    };
    const whole = await new Trainer(model, train, options).run();
    const expected = await model.save();
    model.train = step;
    const plan = new OrderPlan({
      ...{ photos: train.length, batchSize: 4, epochs: 4, seed: 3 },
      ...{ learningRate: 0.1, schedule: "cosine" },
    });
    assert.deepEqual(
      given,
      Array.from({ length: plan.totalSteps }, (_, index) =>
        plan
          .places(Math.floor(index / plan.stepsPerEpoch), index % plan.stepsPerEpoch)
          .flatMap(({ photo: place }) => [...train[place]!.array]),
      ),
    );
    assert.ok(whole.losses.at(-1)! < 0.9 * whole.losses[0]!, whole.losses.join(" "));
    assert.equal(whole.after!.examples, heldOut.length);
    assert.equal(whole.after!.classes!.length, 3);

    let stored: TrainingProgress | undefined;
    const store: ProgressStore = {
      read: () => Promise.resolve(structuredClone(stored)),
      write: (progress) => Promise.resolve(void (stored = structuredClone(progress))),
      remove: () => Promise.resolve(void (stored = undefined)),
    };
    await model.reset();
    const controller = new AbortController();
    const stop = { signal: controller.signal, onStep: () => controller.abort(new Error("enough")) };
    await assert.rejects(new Trainer(model, train, { ...options, store }).run(stop), /enough/);
    const others: readonly (readonly [string, readonly LabeledArray[]])[] = [
      [
        "other numbers",
        [{ ...train[0]!, id: await arrayId(train[0]!.array.map((x) => x + 1)) }, ...train.slice(1)],
      ],
      ["another order", [...train].reverse()],
    ];
    for (const [what, other] of others) {
      await assert.rejects(
        new Trainer(model, other, { ...options, store }).run({ resume: true }),
        /cannot resume: the arrays to train on \(their content, labels or order\) changed/,
        what,
      );
    }
    await model.reset();
    const resumed = await new Trainer(model, train, { ...options, store }).run({ resume: true });
    assert.deepEqual(resumed.after, whole.after);
    assert.deepEqual(await model.save(), expected);
  });

  test("a regression is evaluated by the errors of its predictions, and learns", async () => {
    const predictions = await Promise.all(
      numbered.map(async ({ array }) => (await regression.infer(array)).logits),
    );
    const result = await evaluate(regression, numbered);
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    regression.classNames.forEach((name, output) => {
      const labels = numbered.map(({ label }) => (label as readonly number[])[output]!);
      const errors = labels.map((label, index) => predictions[index]![output]! - label);
      const squared = mean(errors.map((error) => error ** 2));
      const variance = mean(labels.map((label) => (label - mean(labels)) ** 2));
      const figures = result.outputs![output]!;
      assert.deepEqual([figures.name, figures.images], [name, COUNT]);
      assertClose(
        [figures.absoluteError, figures.squaredError, figures.variance, figures.r2!],
        [mean(errors.map(Math.abs)), squared, variance, 1 - squared / variance],
        1e-9,
      );
    });
    assertClose([result.loss], [mean(result.outputs!.map(({ squaredError }) => squaredError))], 1e-9);
    const options = { epochs: 10, learningRate: 0.1, heldOut: numbered };
    const { before: first, after: last } = await new Trainer(regression, numbered, options).run();
    assert.deepEqual(first, result);
    assert.ok(last!.loss < 0.9 * first.loss, `${first.loss} ${last!.loss}`);
    assert.ok(last!.outputs![0]!.r2! > first.outputs![0]!.r2!);
  });

  test("another length, type, or a number that is not finite is refused before anything runs", async () => {
    const state = await model.state();
    const { arrays, labels } = batchOf(steps[0]!);
    const broken = { ...examples[0]!, array: ARRAYS[0]!.with(7, NaN) };
    const calls: readonly (readonly [() => unknown, RegExp])[] = [
      [() => model.infer(ARRAYS[0]!.subarray(1)), /an array of 40 x 6 = 240 float32 numbers, got 239/],
      [() => model.infer(ARRAYS[0]!.with(7, -Infinity)), /numbers in an array, got -Infinity at \[1, 1\]/],
      [
        () => model.train(arrays.subarray(240), labels, 0.1),
        /arrays of 4 x 40 x 6 = 960 float32 numbers, got 720/,
      ],
      [() => model.infer(new Uint8Array(240)), /an array of .* got Uint8Array of 240; give a Float32Array/],
      // @ts-expect-error no float32
      [() => model.infer(new Float64Array(240)), /an array of .* got Float64Array of 240/],
      // @ts-expect-error no typed array
      [() => model.infer(Array(240).fill(0)), /an array of .* got object/],
      [() => new Trainer(model, [...examples.slice(1), broken]), /got NaN at \[1, 1\]; leave that one out/],
      [() => new Trainer(model, examples, { heldOut: [broken] }), /got NaN at \[1, 1\]/],
      [() => evaluate(model, [examples[0]!, broken]), /got NaN at \[1, 1\]/],
      [() => new Trainer(model, []), /expected arrays to train on, got none; add arrays/],
      [() => evaluate(model, []), /expected arrays to evaluate on, got none/],
      [() => new Trainer(model, [{ ...examples[0]!, label: 3 }]), /integers from 0 to 2, got 3/],
      [
        () => new Trainer(regression, [{ ...numbered[0]!, label: 3 }]),
        /lists of numbers as labels of a regression, got 3; give \[3\]/,
      ],
      [() => new Trainer(regression, [{ ...numbered[0]!, label: [3] }]), /expected 1 x 2 labels, got 1/],
      [
        () => new Trainer(regression, [{ ...numbered[0]!, label: [3, NaN] }]),
        /finite float32 numbers, got NaN/,
      ],
    ];
    for (const [call, message] of calls) {
      await assert.rejects(() => Promise.resolve().then(call), { name: "InputError", message });
    }
    const changed = examples.map((example) => ({ ...example, array: example.array.slice() }));
    const trainer = new Trainer(model, changed, { epochs: 1 });
    structuredClone(changed, { transfer: changed.map(({ array }) => array.buffer) });
    await assert.rejects(trainer.run(), /an array of 40 x 6 = 240 float32 numbers, got 0/);
    assert.deepEqual(await model.state(), state);
  });

  test("a model of arrays refuses photos and their settings, and one of photos refuses arrays", async () => {
    const { model: ofPhotos, engine } = await fakeModel();
    for (const setting of ["imageSize", "centralFraction", "augmentation"] as const) {
      assert.throws(() => model[setting], {
        name: "InputError",
        message: new RegExp(`of images for ${setting}, got one of arrays of 40 x 6; leave ${setting} out`),
      });
    }
    const calls: readonly (readonly [() => unknown, RegExp])[] = [
      // @ts-expect-error arrays are not changed
      [() => new Trainer(model, examples, { augmentation }), /no augmentation for a model of arrays/],
      [() => new Trainer(model, [photo]), /expected float arrays, since the model takes arrays, got a photo/],
      // @ts-expect-error both kinds in one training
      [() => new Trainer(model, examples, { heldOut: [photo] }), /expected float arrays.* got a photo/],
      // @ts-expect-error both kinds in one list
      [() => new Trainer(model, [...examples, photo]), /expected float arrays.* got a photo/],
      [() => evaluate(model, [photo]), /expected float arrays.* got a photo/],
      [() => new Trainer(ofPhotos, examples), /expected photos.* got a float array; load a model of arrays/],
      [() => evaluate(ofPhotos, examples), /expected photos.* got a float array/],
      [
        () => ofPhotos.infer(new Float32Array(192)),
        /an image of 8 x 8 x 3 = 192 bytes, got Float32Array of 192/,
      ],
      [() => ofPhotos.train(new Float32Array(384), [0, 0], 0), /images of .* got Float32Array of 384/],
    ];
    for (const [call, message] of calls) {
      await assert.rejects(() => Promise.resolve().then(call), { name: "InputError", message });
    }
    assert.deepEqual([engine.given, engine.inferred], [[], []]);
    assert.deepEqual([ofPhotos.inputName, ofPhotos.inputShape, ofPhotos.sampleRate], ["image", [8, 8, 3], 0]);
    assert.deepEqual(ofPhotos.augmentation, ofPhotos.manifest.data);
    // @ts-expect-error a manifest may be of arrays, which has no input
    assert.ok(ofPhotos.manifest.input.central_fraction === ofPhotos.centralFraction);
  });

  test("an array that is given may be reused at once", async () => {
    const { arrays, labels } = batchOf(steps[0]!);
    const expected = await model.train(arrays, labels, 0);
    const step = model.train(arrays, labels, 0);
    arrays.fill(0);
    assert.deepEqual(await step, expected);
  });
});

describe("a waveform", () => {
  const model = (inputShape: readonly number[], sampleRate = 16000) => ({ inputShape, sampleRate });
  const five = Int16Array.of(1, 2, 3, 4, 5);
  const scaled = (...samples: number[]) => Float32Array.from(samples, (sample) => sample / 32768);

  test("is cropped or padded in the middle, 16 bits become -1 to 1", () => {
    assert.deepEqual(waveform(five, 16000, model([5])), scaled(1, 2, 3, 4, 5));
    assert.deepEqual(waveform(five, 16000, model([3])), scaled(2, 3, 4));
    assert.deepEqual(waveform(five, 16000, model([2])), scaled(2, 3));
    assert.deepEqual(waveform(five, 16000, model([7])), scaled(0, 1, 2, 3, 4, 5, 0));
    assert.deepEqual(waveform(five, 16000, model([8])), scaled(0, 1, 2, 3, 4, 5, 0, 0));
    assert.deepEqual(waveform(Int16Array.of(-32768), 16000, model([1, 1])), Float32Array.of(-1));
    assert.deepEqual(waveform(Float32Array.of(0.5, -1), 16000, model([2])), Float32Array.of(0.5, -1));
    const stereo = Int16Array.of(1, -1, 2, -2, 3, -3);
    assert.deepEqual(waveform(stereo, 16000, model([2, 2])), scaled(1, -1, 2, -2));
  });

  test("of another rate, or of a model of other arrays, is refused", () => {
    for (const [call, message] of [
      [() => waveform(five, 44100, model([5])), /16000 samples per second, got 44100; resample it/],
      [() => waveform(five, 16000, model([5], 0)), /expected a model of waveforms/],
      [() => waveform(five, 16000, model([2, 2])), /complete frames of 2 samples, got 5 samples/],
      [() => waveform(new Int16Array(), 16000, model([2])), /got 0 samples/],
    ] as const) {
      assert.throws(call, { name: "InputError", message });
    }
  });
});

describe("a manifest of arrays", () => {
  type Fields = Record<string, unknown>;
  const whole = () => goldenJson<Fields>("model_array.manifest.json");
  const inputs = (facts: Fields) => (manifest: Fields) => {
    const { array } = manifest.inputs as { array: Fields };
    manifest.inputs = { array: { ...array, ...facts } };
  };
  const data = (fields: Fields) => (manifest: Fields) => Object.assign(manifest.data as Fields, fields);
  const regression = (fields: Fields) => (manifest: Fields) =>
    Object.assign(manifest, { task: "regression" }, fields);
  const ofInputs = /inputs: one of image, features, array, with its type and 1 to 3 sizes/;
  const ofData = /data: only split_seed and split, since the model takes arrays/;
  const refused: readonly (readonly [string, (manifest: Fields) => void, RegExp])[] = [
    ["contract 2", (manifest) => (manifest.contract = 2), /contract: 3 for arrays and for regression, got 2/],
    ["contract 4", (manifest) => (manifest.contract = 4), /contract is 2 or 3, got 4/],
    ["format 3", (manifest) => (manifest.format_version = 3), /format_version is 2, got 3/],
    [
      "an input of images",
      (manifest) => (manifest.input = { size: [40, 6] }),
      /input: nothing, since .* arrays/,
    ],
    ["an input of null", (manifest) => (manifest.input = null), /input: nothing, since .* arrays, got null/],
    ...Object.entries({ crop: true, crop_area: [0, 1], crop_aspect: [1, 1], flip: false, color: "none" }).map(
      ([field, value]) => [`data.${field}`, data({ [field]: value }), ofData] as const,
    ),
    ["no split_seed", (manifest) => (manifest.data = {}), ofData],
    ["no inputs", (manifest) => delete manifest.inputs, /input: a size of two numbers .* got nothing/],
    ["inputs of nothing", (manifest) => (manifest.inputs = {}), ofInputs],
    ["inputs of null", (manifest) => (manifest.inputs = null), ofInputs],
    ["inputs in a list", (manifest) => (manifest.inputs = [manifest.inputs]), ofInputs],
    [
      "two inputs",
      (manifest) =>
        Object.assign(manifest.inputs as Fields, {
          image: { dtype: "uint8", shape: [8, 8, 3], meaning: "" },
        }),
      ofInputs,
    ],
    [
      "an unknown input",
      (manifest) => (manifest.inputs = { sound: { dtype: "float32", shape: [9], meaning: "" } }),
      ofInputs,
    ],
    ["no facts", (manifest) => (manifest.inputs = { array: null }), ofInputs],
    ["integers", inputs({ dtype: "int8" }), ofInputs],
    ["no shape", inputs({ shape: [] }), ofInputs],
    ["a shape of 4 sizes", inputs({ shape: [2, 2, 2, 2] }), ofInputs],
    ["a size of 0", inputs({ shape: [40, 0] }), ofInputs],
    ["half a size", inputs({ shape: [40.5, 6] }), ofInputs],
    ["sizes beyond a tensor", inputs({ shape: [65536, 65536] }), ofInputs],
    ["no meaning", inputs({ meaning: undefined }), ofInputs],
    ["a long meaning", inputs({ meaning: "x".repeat(256) }), ofInputs],
    ["a negative rate", inputs({ sample_rate: -1 }), ofInputs],
    ["half a rate", inputs({ sample_rate: 0.5 }), ofInputs],
    ["a rate beyond all", inputs({ sample_rate: 2 ** 24 + 1 }), ofInputs],
    [
      "an unknown task",
      (manifest) => (manifest.task = "x"),
      /task: classification, multilabel or regression/,
    ],
    [
      "spare outputs of a regression",
      regression({ spare_classes: 1 }),
      /spare_classes: 0, since the task is regression/,
    ],
    [
      "smoothing of a regression",
      regression({ label_smoothing: 0.1 }),
      /label_smoothing: 0, since .* regression/,
    ],
  ];
  for (const [name, change, message] of refused) {
    test(`with ${name}`, () => {
      const manifest = whole();
      change(manifest);
      assert.throws(() => parseManifest(manifest), { name: "InputError", message });
    });
  }

  test("is read as it is, with a sample rate and spare classes too", () => {
    assert.deepEqual(parseManifest(whole()), whole());
    const manifest = whole();
    inputs({ sample_rate: 16000, shape: [16000], meaning: "" })(manifest);
    manifest.spare_classes = 2;
    assert.deepEqual(parseManifest(manifest), manifest);
  });

  const others: readonly (readonly [string, (manifest: Fields) => void, RegExp])[] = [
    [
      "another shape",
      inputs({ shape: [6, 40] }),
      /infer.array .* float32 \[1, 6, 40\], got float32 \[1, 40, 6\]/,
    ],
    ["another rank", inputs({ shape: [240] }), /infer.array .* float32 \[1, 240\], got float32 \[1, 40, 6\]/],
    ["another batch", (manifest) => (manifest.batch_size = 8), /expected 4 arrays of a batch .* got 8/],
    ["another task", regression({}), /train.label .* float32 \[4, 3\], got int32 \[4\]/],
    [
      "images",
      (manifest) => {
        const { input, data: ofImages } = goldenJson<Fields>("model_float32.manifest.json");
        Object.assign(manifest, { input, data: ofImages, inputs: undefined });
      },
      /infer.image of the model is missing/,
    ],
  ];
  for (const [name, change, message] of others) {
    test(`of another file, with ${name}`, async () => {
      const manifest = whole();
      change(manifest);
      const engine = await startNodeEngine();
      await assert.rejects(TrainableModel.load(golden("model_array.tflite"), manifest, { engine }), {
        name: "InputError",
        message,
      });
    });
  }

  test("and one of a regression are refused by the page of photos, in one line", () => {
    const check = (name: string) => () => {
      requireClassesOfPhotos(parseManifest(goldenText(`${name}.manifest.json`)), name);
    };
    for (const name of ["model_array", "model_regression"]) {
      assert.throws(check(name), {
        name: "InputError",
        message: `expected a model of photos, got ${name} of float arrays, which this page cannot take; train it with the package tinytl-web`,
      });
    }
    check("model_float32")();
    const numbers = { ...goldenJson<object>("model_float32.manifest.json"), task: "regression", contract: 3 };
    assert.throws(() => {
      requireClassesOfPhotos(parseManifest(numbers), "mine");
    }, /expected a model of one class for each photo, got mine of numbers \(regression\)/);
  });
});
