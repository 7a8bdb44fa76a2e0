import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { EvaluateResult } from "../src/evaluate.js";
import { photoId } from "../src/photo-id.js";
import { holdOut, splitWarning } from "../src/photo-set.js";
import type { LabeledPhoto } from "../src/photo-set.js";
import { Photo, shrink } from "../src/pixels.js";
import type { Size } from "../src/pixels.js";
import { Trainer } from "../src/trainer.js";
import { golden, goldenJson } from "./golden.js";
import type { GoldenStepResult } from "./golden.js";
import { loadGolden } from "./node-engine.js";

interface Figures {
  readonly images: number;
  readonly accuracy: number;
  readonly balanced_accuracy: number;
  readonly loss: number;
  readonly classes: EvaluateResult["classes"];
}

/** `settings.json`. */
interface GoldenSettings {
  readonly tolerances: Readonly<Record<"loss" | "rate", number>>;
  readonly seed: number;
  readonly epochs: number;
  readonly photos: readonly {
    readonly photo: string;
    readonly decoded: string;
    readonly sha256: string;
    readonly held_out_by_content: boolean;
  }[];
  readonly held_out: readonly string[];
  readonly runs: readonly {
    readonly shows: string;
    readonly photos: readonly string[];
    readonly steps: readonly { readonly rate: number; readonly without_xnnpack: GoldenStepResult }[];
    readonly before: { readonly without_xnnpack: Figures };
    readonly after: { readonly without_xnnpack: Figures };
  }[];
}

const settings = goldenJson<GoldenSettings>("settings.json");
const sizes = goldenJson<{ photos: readonly { photo: string; size: Size }[] }>("pixels.json").photos;

describe("a manifest whose every setting differs from the default", async () => {
  const model = await loadGolden("model_settings");
  const rates: number[] = [];
  const train = model.train.bind(model);
  model.train = (images, labels, rate) => {
    rates.push(rate);
    return train(images, labels, rate);
  };

  const photo = (path: string): LabeledPhoto => {
    const { decoded, sha256 } = settings.photos.find((candidate) => candidate.photo === path)!;
    const [height, width] = sizes.find((candidate) => candidate.photo === path)!.size;
    const read = () => Promise.resolve(shrink(new Photo(width, height, golden(decoded)), model.imageSize));
    return { id: sha256, label: model.manifest.labels.indexOf(path.split("/")[0]!), read };
  };

  for (const run of settings.runs) {
    test(`is followed by a trainer that is told nothing: ${run.shows}`, async () => {
      await model.reset();
      rates.length = 0;
      const { seed, epochs, tolerances } = settings;
      const heldOut = settings.held_out.map(photo);
      const result = await new Trainer(model, run.photos.map(photo), { seed, epochs, heldOut }).run();
      assertClose(
        rates,
        run.steps.map(({ rate }) => rate),
        tolerances.rate,
      );
      assertClose(
        result.steps.map(({ loss }) => loss),
        run.steps.map((step) => step.without_xnnpack.loss),
        tolerances.loss,
      );
      for (const when of ["before", "after"] as const) {
        const { loss, accuracy, balancedAccuracy, examples, classes } = result[when]!;
        const expected = run[when].without_xnnpack;
        assertClose([loss], [expected.loss], tolerances.loss);
        assert.deepEqual(
          [accuracy, balancedAccuracy, examples],
          [expected.accuracy, expected.balanced_accuracy, expected.images],
        );
        assert.deepEqual(
          classes!.map((figures) => ({ ...figures, recall: figures.recall ?? null })),
          expected.classes,
        );
      }
    });
  }

  test("holds the golden photos out", async () => {
    for (const { photo: path, sha256 } of settings.photos) {
      assert.equal(await photoId(golden(`photos/${path}`)), sha256);
    }
    const { heldOut } = holdOut(
      settings.photos.map(({ photo: path }) => ({ ...photo(path), label: 0 })),
      model.manifest.data.split_seed,
    );
    assert.deepEqual(
      heldOut.map(({ id }) => id),
      settings.photos.filter((entry) => entry.held_out_by_content).map(({ sha256 }) => sha256),
    );
    assert.equal(splitWarning(model.manifest.data), "");
  });
});

function assertClose(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  assert.equal(actual.length, expected.length);
  actual.forEach((value, index) => {
    const wanted = expected[index]!;
    assert.ok(Math.abs(value - wanted) <= tolerance * Math.abs(wanted), `expected ${wanted}, got ${value}`);
  });
}
