import { COLOR_CHANGES, COLORS } from "./color.js";
import { InputError } from "./errors.js";
import type { DataSettings } from "./manifest.js";
import { centralBox, mirror, resize, roundToEven } from "./pixels.js";
import type { Box, Photo, Size } from "./pixels.js";
import type { Random } from "./random.js";

const CROP_TRIES = 10;

/** How training images are changed: the manifest's `data`, without the split. */
export type AugmentationSettings = Omit<DataSettings, "split_seed">;

/** Random changes of a training image, from the distributions of docs/formats.md. */
export class Augmentation {
  constructor(readonly settings: AugmentationSettings) {
    if (!(settings.color in COLORS)) {
      throw new InputError(`expected color of ${Object.keys(COLORS).join(", ")}, got ${settings.color}`);
    }
  }

  /**
   * Returns one random variant.
   *
   * @param photo The photo after step 2.
   * @param size The model's input.
   * @param random The only source of randomness.
   * @param centralFraction Without `crop`, the part of the side that is kept.
   */
  apply(photo: Photo, size: Size, random: Random, centralFraction: number): Uint8Array<ArrayBuffer> {
    const { crop, flip, color } = this.settings;
    const pixels = resize(
      photo,
      size,
      crop ? this.randomBox(photo, random) : centralBox(photo, size, centralFraction),
    );
    if (flip && random.uniform(0, 1) < 0.5) {
      mirror(pixels, size);
    }
    const changes = Object.entries(COLOR_CHANGES);
    for (const index of color === "none" ? [] : random.permutation(changes.length)) {
      const [name, change] = changes[index]!;
      const strength = COLORS[color]![index]!;
      if (strength > 0) {
        const amount = random.uniform(-strength, strength);
        change(pixels, name === "hue" ? amount : 1 + amount);
      }
    }
    return pixels;
  }

  /** A random part of a photo; the largest central one of an allowed aspect when ten tries do not fit. */
  randomBox(photo: { width: number; height: number }, random: Random): Box {
    const { crop_area: area, crop_aspect: aspects } = this.settings;
    for (let attempt = 0; attempt < CROP_TRIES; attempt++) {
      const pixels = photo.height * photo.width * random.uniform(...area);
      const aspect = Math.exp(random.uniform(Math.log(aspects[0]), Math.log(aspects[1])));
      const [width, height] = [
        roundToEven(Math.sqrt(pixels * aspect)),
        roundToEven(Math.sqrt(pixels / aspect)),
      ];
      if (width > 0 && width <= photo.width && height > 0 && height <= photo.height) {
        const left = random.integer(photo.width - width + 1);
        const top = random.integer(photo.height - height + 1);
        return [left, top, left + width, top + height];
      }
    }
    const aspect = Math.min(Math.max(photo.width / photo.height, aspects[0]), aspects[1]);
    const width = Math.min(photo.width, Math.max(1, roundToEven(photo.height * aspect)));
    const height = Math.min(photo.height, Math.max(1, roundToEven(photo.width / aspect)));
    const [left, top] = [Math.floor((photo.width - width) / 2), Math.floor((photo.height - height) / 2)];
    return [left, top, left + width, top + height];
  }
}
