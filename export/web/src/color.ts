import { roundToEven } from "./pixels.js";

/** Changes pixels in place: by a factor, or for `hue` by a fraction of the color wheel. */
export type ColorChange = (pixels: Uint8Array, amount: number) => void;

/** Color changes by name, as specified in docs/formats.md and implemented in Pillow. */
export const COLOR_CHANGES = {
  brightness: (pixels, factor) => {
    blend(pixels, factor, () => 0);
  },
  contrast: (pixels, factor) => {
    let sum = 0;
    for (let at = 0; at < pixels.length; at += 3) {
      sum += gray(pixels, at);
    }
    const mean = Math.floor(sum / (pixels.length / 3) + 0.5);
    blend(pixels, factor, () => mean);
  },
  saturation: (pixels, factor) => {
    blend(pixels, factor, (at) => gray(pixels, at));
  },
  hue: turnHue,
} as const satisfies Record<string, ColorChange>;

/** Half-widths of the ranges of the changes, in the order of `COLOR_CHANGES`, by the manifest's `color`. */
export const COLORS: Readonly<Record<string, readonly [number, number, number, number]>> = {
  none: [0, 0, 0, 0],
  tf: [32 / 255, 0, 0.5, 0],
  torch: [0.4, 0.4, 0.4, 0.1],
};

function gray(pixels: Uint8Array, at: number): number {
  return (pixels[at]! * 19595 + pixels[at + 1]! * 38470 + pixels[at + 2]! * 7471 + 32768) >> 16;
}

function blend(pixels: Uint8Array, factor: number, origin: (at: number) => number): void {
  const single = Math.fround(factor);
  for (let at = 0; at < pixels.length; at += 3) {
    const from = origin(at);
    for (let channel = 0; channel < 3; channel++) {
      const value = from + Math.fround(single * (pixels[at + channel]! - from));
      pixels[at + channel] = Math.min(Math.max(Math.fround(value), 0), 255);
    }
  }
}

/** Returns hue and saturation in 8 bits, rounded like Pillow, which computes in float32. */
function turnHue(pixels: Uint8Array, turn: number): void {
  const shift = roundToEven(turn * 255);
  for (let at = 0; at < pixels.length; at += 3) {
    const [red, green, blue] = [pixels[at]!, pixels[at + 1]!, pixels[at + 2]!];
    const most = Math.max(red, green, blue);
    const range = most - Math.min(red, green, blue);
    let [hue, saturation] = [0, 0];
    if (range > 0) {
      const [r, g, b] = [red, green, blue].map((level) => Math.fround((most - level) / range)) as [
        number,
        number,
        number,
      ];
      const sixth = Math.fround(red === most ? b - g : green === most ? 2 + r - b : 4 + g - r);
      hue = Math.trunc(Math.fround((sixth / 6 + 1) % 1) * 255);
      saturation = Math.trunc(Math.fround(range / most) * 255);
    }
    pixels.set(fromHsv((hue + shift + 256) % 256, saturation, most), at);
  }
}

/** Returns the RGB values of hue, saturation and value in 8 bits. */
function fromHsv(hue: number, saturation: number, value: number): [number, number, number] {
  const sixth = Math.floor((hue * 6) / 255);
  const part = Math.fround((hue * 6) / 255 - sixth);
  const strength = Math.fround(saturation / 255);
  const low = Math.round(value * (1 - strength));
  const falling = Math.round(value * (1 - strength * part));
  const rising = Math.round(value * (1 - strength * (1 - part)));
  const sectors: readonly [number, number, number][] = [
    [value, rising, low],
    [falling, value, low],
    [low, value, rising],
    [low, falling, value],
    [rising, low, value],
    [value, low, falling],
  ];
  return sectors[sixth % 6]!;
}
