import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { Augmentation } from "../src/augmentation.js";
import type { Manifest } from "../src/manifest.js";
import { holdOut } from "../src/photo-set.js";
import type { LabeledPhoto } from "../src/photo-set.js";
import { Photo } from "../src/pixels.js";
import type { ProgressStore, TrainingProgress } from "../src/progress-store.js";
import { Random } from "../src/random.js";
import { Trainer } from "../src/trainer.js";
import { TrainableModel } from "../src/trainable-model.js";
import { golden, goldenJson } from "./golden.js";
import type { GoldenTraining } from "./golden.js";
import { loadGolden, startNodeEngine } from "./node-engine.js";

class MemoryStore implements ProgressStore {
  progress: TrainingProgress | undefined;
  writes = 0;

  read() {
    return Promise.resolve(structuredClone(this.progress));
  }

  write(progress: TrainingProgress) {
    this.progress = structuredClone(progress);
    this.writes++;
    return Promise.resolve();
  }

  remove() {
    this.progress = undefined;
    return Promise.resolve();
  }
}

const photos: readonly LabeledPhoto[] = goldenJson<GoldenTraining>("training_float32.json").photos.map(
  ({ photo, pixels, label }) => ({
    id: photo,
    label,
    read: () => Promise.resolve(new Photo(64, 64, golden(pixels))),
  }),
);

describe("the trainer", () => {
  let model: TrainableModel;
  before(async () => {
    model = await loadGolden();
  });
  beforeEach(() => model.reset());
  after(() => model.delete());

  test("learns: the loss falls, and the figures are those of the photos", async () => {
    const epochs: number[] = [];
    const steps: number[] = [];
    const trainer = new Trainer(model, photos, { epochs: 20, learningRate: 3e-3, heldOut: photos });
    const result = await trainer.run({
      onStep: (_, index, total) => {
        steps.push(index);
        assert.equal(total, 60);
      },
      onEpoch: (epoch, heldOut) => {
        epochs.push(epoch);
        assert.equal(heldOut?.examples, photos.length);
      },
    });
    assert.deepEqual(epochs, [...Array(20).keys()]);
    assert.deepEqual(steps, [...Array(60).keys()]);
    assert.equal(result.losses.length, 20);
    assert.ok(result.losses.at(-1)! < 0.8 * result.losses[0]!, result.losses.join(" "));
    assert.ok(result.after!.loss < result.before!.loss);
    assert.ok(result.steps.every(({ applied, milliseconds }) => applied && milliseconds > 0));
  });

  test("a training that was cancelled or lost goes on to the same bytes", async () => {
    const options = { epochs: 4, learningRate: 3e-3, seed: 5, saveEvery: 4, heldOut: photos.slice(0, 2) };
    const whole = await new Trainer(model, photos.slice(2), options).run();
    const expected = await model.save();

    for (const way of ["cancelled", "lost"] as const) {
      await model.reset();
      const store = new MemoryStore();
      const controller = new AbortController();
      const first = new Trainer(model, photos.slice(2), { ...options, store });
      const run = first.run({
        signal: controller.signal,
        onStep: (_, index) => {
          if (index === 4) {
            if (way === "lost") {
              throw new Error("the tab was closed");
            }
            controller.abort(new Error("enough"));
          }
        },
      });
      await assert.rejects(run, /enough|the tab was closed/);
      assert.equal(store.progress!.steps.length, way === "cancelled" ? 5 : 4);
      await model.reset();
      await model.train(new Uint8Array(4 * 64 * 64 * 3), [0, 0, 0, 0], 0.01);
      const result = await new Trainer(model, photos.slice(2), { ...options, store }).run({ resume: true });
      assert.deepEqual(
        result.steps.map(({ loss }) => loss),
        whole.steps.map(({ loss }) => loss),
      );
      assert.deepEqual(result.after, whole.after);
      assert.deepEqual(await model.save(), expected);
      assert.equal(store.progress, undefined);
    }
  });

  test("goes on with the same settings only", async () => {
    const store = new MemoryStore();
    const nothing = new Trainer(model, photos, { store }).run({ resume: true });
    await assert.rejects(nothing, /expected a training to go on with, found none/);
    const signal = AbortSignal.abort(new Error("at once"));
    await assert.rejects(new Trainer(model, photos, { store }).run({ signal }), /at once/);
    assert.equal(store.writes, 1);
    const others = [
      new Trainer(model, photos, { store, epochs: 6 }),
      new Trainer(model, photos, { store, seed: 1 }),
      new Trainer(model, photos, { store, learningRate: 1e-4 }),
      new Trainer(model, photos, { store, schedule: "constant" }),
      new Trainer(model, photos.slice(1), { store }),
    ];
    for (const other of others) {
      await assert.rejects(other.run({ resume: true }), /the model, the photos or a setting have changed/);
    }
  });

  test("takes the learning rate of the manifest where none is given", async () => {
    const manifest = goldenJson<Manifest>("model_float32.manifest.json");
    const other = await TrainableModel.load(
      golden("model_float32.tflite"),
      { ...manifest, learning_rate: 0.02 },
      { engine: await startNodeEngine() },
    );
    const store = new MemoryStore();
    const signal = AbortSignal.abort(new Error("at once"));
    for (const [options, expected] of [
      [{ store }, 0.02],
      [{ store, learningRate: 0.03 }, 0.03],
    ] as const) {
      await assert.rejects(new Trainer(other, photos, options).run({ signal }), /at once/);
      assert.equal((JSON.parse(store.progress!.settings) as { learningRate: number }).learningRate, expected);
    }
    other.delete();
  });

  test("fewer photos than a batch are repeated", async () => {
    const result = await new Trainer(model, photos.slice(0, 2), { epochs: 3 }).run();
    assert.equal(result.steps.length, 3);
    assert.equal(result.after, undefined);
  });

  test("says that it diverged", async () => {
    const diverging = new Trainer(model, photos, { epochs: 30, learningRate: 1e37 });
    await assert.rejects(diverging.run(), { name: "TrainingDiverged", message: /lower the learning rate/ });
  });

  const refused: readonly (readonly [string, () => Trainer, RegExp])[] = [
    ["no photo", () => new Trainer(model, []), /expected photos to train on, got none/],
    [
      "no epoch",
      () => new Trainer(model, photos, { epochs: 0 }),
      /epochs that is a whole number of 1 or more, got 0/,
    ],
    [
      "half a seed",
      () => new Trainer(model, photos, { seed: 0.5 }),
      /seed that is a whole number of 0 or more/,
    ],
    ["no rate", () => new Trainer(model, photos, { learningRate: 0 }), /learning rate above 0, got 0/],
    [
      "a schedule",
      () => new Trainer(model, photos, { schedule: "x" as never }),
      /schedule of cosine, constant, got x/,
    ],
    ["a label", () => new Trainer(model, [{ ...photos[0]!, label: 5 }]), /integers from 0 to 4, got 5/],
    [
      "a color",
      () => new Trainer(model, photos, { augmentation: { ...data(), color: "x" } }),
      /none, tf, torch, got x/,
    ],
  ];
  for (const [name, make, message] of refused) {
    test(`refuses ${name}`, () => {
      assert.throws(make, { name: "InputError", message });
    });
  }

  function data() {
    return model.manifest.data;
  }
});

describe("augmentation", () => {
  const settings = {
    crop: true,
    crop_area: [0.22, 1],
    crop_aspect: [3 / 4, 4 / 3],
    flip: true,
    color: "none",
  } as const;

  test("boxes have areas and aspects of their ranges, uniform in area", () => {
    const augmentation = new Augmentation(settings);
    const areas: number[] = [];
    for (let seed = 0; seed < 2000; seed++) {
      const box = augmentation.randomBox({ width: 400, height: 400 }, new Random([seed]));
      const [width, height] = [box[2] - box[0], box[3] - box[1]];
      assert.ok(box[0] >= 0 && box[1] >= 0 && box[2] <= 400 && box[3] <= 400);
      assert.ok(width / height > 0.74 && width / height < 1.35);
      areas.push((width * height) / 160_000);
    }
    assert.ok(Math.min(...areas) < 0.24 && Math.min(...areas) > 0.21);
    assert.ok(Math.max(...areas) > 0.9);
  });

  test("a photo that no box fits gives its largest central part", () => {
    const box = new Augmentation(settings).randomBox({ width: 1000, height: 10 }, new Random([0]));
    assert.deepEqual(box, [493, 0, 506, 10]);
  });

  test("half of the variants are mirrored", () => {
    const photo = new Photo(
      64,
      64,
      new Uint8Array(64 * 64 * 3).map((_, index) => (index % 192 < 96 ? 0 : 255)),
    );
    const augmentation = new Augmentation({ ...settings, crop: false });
    let mirrored = 0;
    for (let seed = 0; seed < 400; seed++) {
      mirrored += augmentation.apply(photo, [8, 8], new Random([seed]), 1)[0] === 255 ? 1 : 0;
    }
    assert.ok(mirrored > 160 && mirrored < 240, `${mirrored} of 400`);
  });

  test("colors change, and only where they are asked for", () => {
    const photo = new Photo(
      64,
      64,
      new Uint8Array(64 * 64 * 3).map((_, index) => (index * 7) % 256),
    );
    const plain = { ...settings, crop: false, flip: false };
    const apply = (color: string) =>
      new Augmentation({ ...plain, color }).apply(photo, [64, 64], new Random([1]), 1);
    assert.deepEqual(apply("none"), photo.pixels);
    assert.notDeepEqual(apply("tf"), photo.pixels);
    assert.notDeepEqual(apply("torch"), apply("tf"));
  });
});

describe("holding out", () => {
  const many = Array.from({ length: 20 }, (_, index) => ({
    ...photos[0]!,
    id: String(index),
    label: index < 8 ? 0 : 1,
  }));

  test("a quarter of each class, others with another seed", () => {
    const { train, heldOut } = holdOut(many, 0);
    assert.equal(heldOut.filter(({ label }) => label === 0).length, 2);
    assert.equal(heldOut.filter(({ label }) => label === 1).length, 3);
    assert.deepEqual(new Set([...train, ...heldOut]).size, 20);
    const ids = (seed: number) => holdOut(many, seed).heldOut.map(({ id }) => id);
    assert.deepEqual(ids(0), ids(0));
    assert.notDeepEqual(ids(0), ids(1));
  });

  test("a class of one photo is refused", () => {
    assert.throws(
      () => holdOut([...many, { ...photos[0]!, label: 3 }], 0),
      /at least 2 photos of class 3.*got 1/,
    );
  });
});
