import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import type { LabeledPhoto } from "../src/photo-set.js";
import { modelInput, Photo, resize } from "../src/pixels.js";
import type { ProgressStore, TrainingProgress } from "../src/progress-store.js";
import { Trainer } from "../src/trainer.js";
import type { TrainingResult } from "../src/trainer.js";
import type { TrainableModel } from "../src/trainable-model.js";
import { fakeModel } from "./fake-model.js";
import type { FakeBehavior } from "./fake-model.js";
import { golden, goldenJson } from "./golden.js";
import type { GoldenTraining } from "./golden.js";
import { loadGolden } from "./node-engine.js";

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

  test("a training that was cancelled or lost resumes to the same bytes", async () => {
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

  test("resumes with the same model, photos and settings only, and names what changed", async () => {
    const store = new MemoryStore();
    const nothing = new Trainer(model, photos, { store }).run({ resume: true });
    await assert.rejects(nothing, /expected a training to resume, found none/);
    const signal = AbortSignal.abort(new Error("at once"));
    await assert.rejects(new Trainer(model, photos, { store }).run({ signal }), /at once/);
    assert.equal(store.writes, 1);
    const data = model.augmentation;
    const [first, ...rest] = photos;
    const others: readonly (readonly [string, Trainer])[] = [
      ["the number of epochs", new Trainer(model, photos, { store, epochs: 6 })],
      ["the seed", new Trainer(model, photos, { store, seed: 1 })],
      ["the learning rate", new Trainer(model, photos, { store, learningRate: 1e-4 })],
      ["the schedule", new Trainer(model, photos, { store, schedule: "constant" })],
      ["the augmentation", new Trainer(model, photos, { store, augmentation: { ...data, flip: false } })],
      ["the photos to train on", new Trainer(model, rest, { store })],
      // As many photos, of which one has other content, another label, or another place.
      ["the photos to train on", new Trainer(model, [{ ...first!, id: "other" }, ...rest], { store })],
      ["the photos to train on", new Trainer(model, [{ ...first!, label: 4 }, ...rest], { store })],
      ["the photos to train on", new Trainer(model, [...rest, first!], { store })],
      ["the held-out photos", new Trainer(model, photos, { store, heldOut: [first!] })],
    ];
    const state = await model.state();
    for (const [what, other] of others) {
      await assert.rejects(other.run({ resume: true }), (error: Error) => {
        assert.equal(error.name, "InputError");
        assert.ok(error.message.startsWith(`cannot resume: ${what}`), error.message);
        assert.match(error.message, /changed since the training was stopped; use the same/);
        return true;
      });
    }
    assert.deepEqual(await model.state(), state);
    assert.equal(store.writes, 1);
    await new Trainer(model, photos, { store }).run({ resume: true });
  });

  test("says that it diverged, and what to do", async () => {
    const store = new MemoryStore();
    const diverging = new Trainer(model, photos, { epochs: 30, learningRate: 1e37, saveEvery: 1, store });
    await assert.rejects(diverging.run(), {
      name: "TrainingDiverged",
      message: /lower the learning rate, and reset the model or restore another state/,
    });
    assert.ok(store.writes > 0);
    assert.equal(store.progress, undefined);
  });

  const refused: readonly (readonly [string, () => Trainer, RegExp])[] = [
    ["no photo", () => new Trainer(model, []), /expected photos to train on, got none/],
    [
      "no epoch",
      () => new Trainer(model, photos, { epochs: 0 }),
      /epochs to be an integer of 1 or more, got 0/,
    ],
    ["half a seed", () => new Trainer(model, photos, { seed: 0.5 }), /seed to be an integer of 0 or more/],
    ["no rate", () => new Trainer(model, photos, { learningRate: 0 }), /learning rate above 0, got 0/],
    [
      "a schedule",
      () => new Trainer(model, photos, { schedule: "x" as never }),
      /schedule to be one of cosine, constant, got x/,
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
    return model.augmentation;
  }
});

/** Photos of 16 x 12 pixels, all of them different, and their pixels. */
const drawn: readonly (LabeledPhoto & { readonly photo: Photo })[] = Array.from({ length: 5 }, (_, index) => {
  const pixels = new Uint8Array(16 * 12 * 3).map((_, at) => (index * 50 + at * 7) % 256);
  const photo = new Photo(16, 12, pixels);
  return { id: String(index), label: index % 3, photo, read: () => Promise.resolve(photo) };
});

describe("what the runtime is given", () => {
  const data = {
    split_seed: 0,
    crop: false,
    crop_area: [0.3, 0.7],
    crop_aspect: [1, 1],
    flip: false,
    color: "none",
  } as const;
  const manifest = {
    data,
    learning_rate: 0.02,
    schedule: "constant",
    input: { size: [8, 8], central_fraction: 0.6 },
  } as const;

  test("the rates of the manifest's schedule, step by step over all epochs", async () => {
    for (const [schedule, expected] of [
      ["constant", (): number => 0.02],
      ["cosine", (step: number): number => 0.01 * (1 + Math.cos((Math.PI * step) / 6))],
    ] as const) {
      const { model, engine } = await fakeModel({ manifest: { ...manifest, schedule } });
      await new Trainer(model, drawn, { epochs: 3 }).run();
      assert.deepEqual(
        engine.given.map(({ rate }) => rate),
        Array.from({ length: 6 }, (_, step) => Math.fround(expected(step))),
      );
    }
    const { model, engine } = await fakeModel({ manifest });
    await new Trainer(model, drawn, { epochs: 1, learningRate: 0.5, schedule: "cosine" }).run();
    assert.deepEqual(
      engine.given.map(({ rate }) => rate),
      [0.5, 0.25],
    );
  });

  test("without crop, flip and colors the central part of the manifest, to train and to evaluate", async () => {
    const { model, engine } = await fakeModel({ manifest });
    await new Trainer(model, drawn, { epochs: 1, heldOut: drawn.slice(0, 1) }).run();
    const expected = drawn.map(({ photo }) => modelInput(photo, [8, 8], 0.6));
    assert.notDeepEqual(expected[0], modelInput(drawn[0]!.photo, [8, 8], 1));
    for (const image of engine.inferred) {
      assert.deepEqual(image, expected[0]);
    }
    assert.equal(engine.inferred.length, 2);
    const seen = engine.given.flatMap(({ image, label }) => [
      [image.slice(0, 192), label[0]],
      [image.slice(192), label[1]],
    ]);
    assert.equal(seen.length, 4);
    for (const [image, label] of seen) {
      const index = expected.findIndex((pixels) => Buffer.compare(pixels, image as Uint8Array) === 0);
      assert.ok(index >= 0);
      assert.equal(label, drawn[index]!.label);
    }
  });

  test("with crop the boxes of the plan", async () => {
    const { model, engine } = await fakeModel({ manifest: { ...manifest, data: { ...data, crop: true } } });
    await new Trainer(model, drawn, { epochs: 2, seed: 3 }).run();
    // Photo and box of each place, from a script that was written from docs/formats.md alone.
    const boxes = [
      [
        [1, 3, 3, 12, 12],
        [0, 0, 0, 11, 11],
      ],
      [
        [2, 1, 1, 12, 12],
        [3, 1, 1, 11, 11],
      ],
      [
        [0, 2, 0, 12, 10],
        [2, 4, 1, 15, 12],
      ],
      [
        [4, 0, 1, 11, 12],
        [1, 5, 0, 13, 8],
      ],
    ] as const;
    assert.equal(engine.given.length, boxes.length);
    for (const [step, places] of boxes.entries()) {
      const images = places.flatMap(([photo, ...box]) => [...resize(drawn[photo]!.photo, [8, 8], box)]);
      assert.deepEqual([...engine.given[step]!.image], images, `step ${step}`);
    }
  });

  test("fewer photos than a batch are repeated, each time with another change", async () => {
    const { model, engine } = await fakeModel({
      manifest: { ...manifest, batch_size: 4, data: { ...data, crop: true } },
    });
    const result = await new Trainer(model, drawn.slice(0, 2), { epochs: 3 }).run();
    assert.equal(result.steps.length, 3);
    assert.equal(result.after, undefined);
    for (const { image, label } of engine.given) {
      assert.deepEqual(label.slice(0, 2), label.slice(2));
      assert.notDeepEqual(image.slice(0, 384), image.slice(384));
    }
  });
});

describe("a training that diverges", () => {
  /** Runs five epochs of two steps on a fake model. */
  async function train(behavior: FakeBehavior, heldOut: readonly LabeledPhoto[] = []) {
    const { model } = await fakeModel(behavior);
    const store = new MemoryStore();
    const seen: number[] = [];
    const trainer = new Trainer(model, drawn.slice(0, 4), { epochs: 5, heldOut, store, saveEvery: 1 });
    const result = await trainer
      .run({ onEpoch: (epoch) => seen.push(epoch) })
      .catch((error: unknown) => error as Error);
    return { model, store, seen, result };
  }

  function assertWorked(result: TrainingResult | Error): asserts result is TrainingResult {
    if (result instanceof Error) {
      throw result;
    }
  }

  async function assertDiverged(behavior: FakeBehavior, heldOut: readonly LabeledPhoto[], message: RegExp) {
    const { result, store, seen } = await train(behavior, heldOut);
    assert.ok(result instanceof Error, "expected the training to diverge");
    assert.equal(result.name, "TrainingDiverged");
    assert.match(result.message, message);
    assert.equal(store.progress, undefined);
    return seen;
  }

  test("when more than half of the steps of an epoch are not applied", async () => {
    const never = (index: number) => ({ loss: NaN, applied: index < 4 });
    const seen = await assertDiverged(
      { step: (index) => ({ ...never(index), loss: index < 4 ? 1 : NaN }) },
      [],
      /0 of 2 steps applied in epoch 3.*; lower the learning rate, and reset the model or restore another state$/,
    );
    assert.deepEqual(seen, [0, 1]);
  });

  test("but not when half of them are, whose losses count where they are finite", async () => {
    const { result } = await train({
      step: (index) => ({ loss: index % 4 === 0 ? NaN : index % 2 === 0 ? 3 : 1, applied: index % 2 === 1 }),
    });
    assertWorked(result);
    assert.deepEqual(result.losses, [1, 2, 1, 2, 1]);
    assert.equal(result.steps.filter(({ applied }) => applied).length, 5);
  });

  test("when the loss of the held-out photos is far above that before", async () => {
    const wrong = (logit: number) => (index: number) => (index < 2 ? [0, 0, 0] : [0, logit, 0]);
    const seen = await assertDiverged(
      { logits: wrong(13) },
      drawn.slice(0, 1),
      /expected a final loss of at most 10\.99, got 13\.00; it was 1\.099 before \(2 of 2 steps applied\); lower the learning rate/,
    );
    assert.deepEqual(seen, []);
    const { result } = await train({ logits: wrong(10.9) }, drawn.slice(0, 1));
    assertWorked(result);
    await assertDiverged({ logits: wrong(NaN) }, drawn.slice(0, 1), /expected finite logits/);
  });

  test("a good model may become as bad as guessing, but not ten times as bad", async () => {
    const good = (logit: number) => (index: number) => (index < 2 ? [20, 0, 0] : [0, logit, 0]);
    const { result } = await train({ logits: good(10.9) }, drawn.slice(0, 1));
    assertWorked(result);
    await assertDiverged({ logits: good(12) }, drawn.slice(0, 1), /at most 10\.99/);
  });

  test("a bad one may become ten times as bad", async () => {
    const bad = (logit: number) => (index: number) => (index < 2 ? [0, 5, 0] : [0, logit, 0]);
    const { result } = await train({ logits: bad(50) }, drawn.slice(0, 1));
    assertWorked(result);
    await assertDiverged({ logits: bad(51) }, drawn.slice(0, 1), /at most 50\.\d+, got 51/);
  });

  test("without held-out photos when the last epoch is far above the first step", async () => {
    const late = (loss: number) => ({ step: (index: number) => ({ loss: index < 8 ? 2 : loss }) });
    await assertDiverged(
      late(20.1),
      [],
      /expected a final loss of at most 20\.00, got 20\.10; it was 2\.000 before/,
    );
    const { result } = await train(late(19.9));
    assertWorked(result);
    // The first loss is not finite: compared with a guess.
    const first = (loss: number) => ({
      step: (index: number) => (index === 0 ? { loss: Infinity, applied: false } : { loss }),
    });
    await assertDiverged(first(11.1), [], /expected a final loss of at most 10\.99/);
    // Only applied steps count at the end.
    const half = { step: (index: number) => ({ loss: index === 9 ? 1e6 : 2, applied: index !== 9 }) };
    assertWorked((await train(half)).result);
  });

  test("with several attributes compared with a coin", async () => {
    const manifest = { task: "multilabel" } as const;
    const labeled = drawn.map((photo) => ({ ...photo, label: [1, 0, 0] }));
    const { model } = await fakeModel({ manifest, step: (index) => ({ loss: index === 0 ? 0.1 : 14 }) });
    await assert.rejects(new Trainer(model, labeled, { epochs: 1 }).run(), {
      name: "TrainingDiverged",
      message: /at most 6\.93, got 7\.050/,
    });
  });

  test("of a regression compared with a loss of 1", async () => {
    const manifest = { task: "regression", contract: 3 } as const;
    const labeled = drawn.map((photo) => ({ ...photo, label: [1, -2, 0.5] }));
    const run = async (last: number) => {
      const { model } = await fakeModel({ manifest, step: (index) => ({ loss: index === 0 ? 0.1 : last }) });
      return new Trainer(model, labeled, { epochs: 1 }).run();
    };
    // The mean of the only epoch's two steps.
    await run(19.8);
    await assert.rejects(run(20), { name: "TrainingDiverged", message: /at most 10\.00, got 10\.05/ });
  });

  test("leaves the model as the training made it", async () => {
    const { model, result } = await train({ step: (index) => ({ loss: index < 8 ? 1 : 1e3 }) });
    assert.ok(result instanceof Error);
    assert.deepEqual([...(await model.state())], [10, 0]);
  });
});

describe("a store that others can use, too", () => {
  test("has one training at a time", async () => {
    const store = new (class extends MemoryStore {
      taken = false;

      async exclusively<T>(work: () => Promise<T>): Promise<T> {
        if (this.taken) {
          throw new Error("taken");
        }
        this.taken = true;
        try {
          return await work();
        } finally {
          this.taken = false;
        }
      }
    })();
    const { model } = await fakeModel();
    const run = () => new Trainer(model, drawn, { epochs: 1, store }).run();
    const [one, other] = await Promise.allSettled([run(), run()]);
    assert.equal(one.status, "fulfilled");
    assert.equal(other.status, "rejected");
    await run();
  });
});
