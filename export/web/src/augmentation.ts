import { COLOR_CHANGES, COLORS } from "./color.js";
import { InputError } from "./errors.js";
import type { DataSettings, SplitSettings } from "./manifest.js";
import { centralBox, mirror, resize, roundToEven } from "./pixels.js";
import type { Box, Photo, Size } from "./pixels.js";
import type { Random } from "./random.js";

const CROP_TRIES = 10;

/** How training images are changed: the manifest's `data`, without the split. */
export type AugmentationSettings = Omit<DataSettings, keyof SplitSettings>;

/** Name of a color change, and by how much: brightness, contrast and saturation by 1 + amount, hue by amount. */
export type ColorAmount = readonly [name: keyof typeof COLOR_CHANGES, amount: number];

/** One change of a training image, drawn but not yet made. */
export interface Change {
  /** Part of the photo, in its pixels. */
  readonly box: Box;
  /** Whether the result is mirrored left and right. */
  readonly flip: boolean;
  /** Color changes in their order. */
  readonly colors: readonly ColorAmount[];
}

/** Random changes of a training image, drawn as in docs/formats.md. */
export class Augmentation {
  constructor(readonly settings: AugmentationSettings) {
    if (!Object.hasOwn(COLORS, settings.color)) {
      throw new InputError(`expected color of ${Object.keys(COLORS).join(", ")}, got ${settings.color}`);
    }
  }

  /**
   * Draws a change.
   *
   * @param photo Width and height of the photo after step 2 of "Pixels".
   * @param size The model's input.
   * @param random The only source of randomness.
   * @param centralFraction Without `crop`, the part of the side that is kept.
   */
  draw(photo: PhotoSize, size: Size, random: Random, centralFraction: number): Change {
    const { crop, flip } = this.settings;
    return {
      box: crop ? this.#randomBox(photo, random) : centralBox(photo, size, centralFraction),
      flip: flip && random.unit() < 0.5,
      colors: this.#colors(random),
    };
  }

  /** A random part of a photo; the largest central one of an allowed aspect when ten tries do not fit. */
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

/** Makes a change of a photo; returns the model's input, H W 3 bytes. */
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
