import { COLOR_CHANGES, COLORS } from "./color.js";
import { InputError } from "./errors.js";
import type { DataSettings, SplitSettings } from "./manifest.js";
import { centralBox, mirror, resize, roundToEven } from "./pixels.js";
import type { Box, Photo, Size } from "./pixels.js";
import type { Random } from "./random.js";

const CROP_TRIES = 10;

/** Settings of the changes of training images: the manifest's `data` without the split. */
export type AugmentationSettings = Omit<DataSettings, keyof SplitSettings>;

/**
 * Name and amount of a color change. Brightness, contrast and saturation are scaled by 1 + amount; hue is rotated by
 * amount.
 */
export type ColorAmount = readonly [name: keyof typeof COLOR_CHANGES, amount: number];

/** A random change of a training image that has been drawn but not applied. */
export interface Change {
  /** Part of the photo, in pixels of the photo. */
  readonly box: Box;
  /** Whether the result is mirrored left and right. */
  readonly flip: boolean;
  /** Color changes in order. */
  readonly colors: readonly ColorAmount[];
}

/** Random changes of a training image, drawn as in docs/formats.md. */
export class Augmentation {
  constructor(readonly settings: AugmentationSettings) {
    if (!Object.hasOwn(COLORS, settings.color)) {
      throw new InputError(
        `expected color to be one of ${Object.keys(COLORS).join(", ")}, got ${settings.color}; change the setting`,
      );
    }
  }

  /**
   * Draws a random change.
   *
   * @param photo Width and height of the photo after step 2 of "Pixels" in docs/formats.md.
   * @param size Size of the model's input.
   * @param random The only source of randomness.
   * @param centralFraction Fraction of each side that is kept without `crop`.
   */
  draw(photo: PhotoSize, size: Size, random: Random, centralFraction: number): Change {
    const { crop, flip } = this.settings;
    return {
      box: crop ? this.#randomBox(photo, random) : centralBox(photo, size, centralFraction),
      flip: flip && random.unit() < 0.5,
      colors: this.#colors(random),
    };
  }

  /**
   * Returns a random part of a photo, or after ten tries that do not fit, the largest central part with an allowed
   * aspect ratio.
   */
  #randomBox(photo: PhotoSize, random: Random): Box {
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

  #colors(random: Random): ColorAmount[] {
    const { color } = this.settings;
    const names = Object.keys(COLOR_CHANGES) as (keyof typeof COLOR_CHANGES)[];
    const order = color === "none" ? [] : random.permutation(names.length);
    return order.flatMap((index): ColorAmount[] => {
      const strength = COLORS[color]![index]!;
      return strength > 0 ? [[names[index]!, random.uniform(-strength, strength)]] : [];
    });
  }
}

interface PhotoSize {
  readonly width: number;
  readonly height: number;
}

/** Applies a change to a photo; returns the model's input, H * W * 3 bytes. */
export function applyChange(
  photo: Photo,
  size: Size,
  { box, flip, colors }: Change,
): Uint8Array<ArrayBuffer> {
  const pixels = resize(photo, size, box);
  if (flip) {
    mirror(pixels, size);
  }
  for (const [name, amount] of colors) {
    COLOR_CHANGES[name](pixels, name === "hue" ? amount : 1 + amount);
  }
  return pixels;
}
