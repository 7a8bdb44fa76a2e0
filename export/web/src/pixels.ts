import { InputError } from "./errors.js";

/** Left, upper, right and lower edge in pixels. */
export type Box = readonly [left: number, top: number, right: number, bottom: number];

/** Height and width in pixels. */
export type Size = readonly [height: number, width: number];

/** An upright picture whose rows can be read in pieces, so that a large photo need not be in memory at once. */
export interface PixelSource {
  readonly width: number;
  readonly height: number;
  /** Bytes of a pixel: 3 for RGB, or 4 for RGBA, which is drawn on white. */
  readonly channels: 3 | 4;
  /** Returns the pixels of the rows from `top` to `bottom`, exclusive. */
  rows(top: number, bottom: number): Uint8Array | Uint8ClampedArray;
}

/** An upright RGB picture in memory. */
export class Photo implements PixelSource {
  readonly channels = 3;

  constructor(
    readonly width: number,
    readonly height: number,
    readonly pixels: Uint8Array<ArrayBuffer>,
  ) {
    if (pixels.length !== width * height * 3 || pixels.length === 0) {
      throw new InputError(
        `expected ${width} x ${height} x 3 bytes of a photo, got ${pixels.length}; give RGB without padding`,
      );
    }
  }

  rows(top: number, bottom: number): Uint8Array {
    return this.pixels.subarray(top * this.width * 3, bottom * this.width * 3);
  }
}

// A crop of 0.22 of the area has a short side of at least 0.4 of the photo's: 2.5 times the size loses nothing.
const SHORT_SIDE = 2.5;
const PRECISION = 22; // fractional bits of a weight
const STRIP = 64; // rows of a source that are read at a time

/**
 * Step 2 of "Pixels" in docs/formats.md: shrinks a photo so that its short side is at most 2.5 times the model's input.
 */
export function shrink(source: PixelSource, size: Size): Photo {
  const scale = Math.min(
    1,
    roundToEven(SHORT_SIDE * Math.max(...size)) / Math.min(source.width, source.height),
  );
  const [height, width] = [roundToEven(source.height * scale), roundToEven(source.width * scale)];
  return new Photo(width, height, resize(source, [height, width]));
}

/** Step 3 of "Pixels" in docs/formats.md: returns the part of a photo that is used in an evaluation. */
export function centralBox(photo: { width: number; height: number }, size: Size, fraction: number): Box {
  const scale = Math.max(
    Math.ceil(size[0] / fraction) / photo.height,
    Math.ceil(size[1] / fraction) / photo.width,
  );
  const [height, width] = [size[0] / scale, size[1] / scale];
  const [left, top] = [(photo.width - width) / 2, (photo.height - height) / 2];
  return [left, top, left + width, top + height];
}

/** Returns a model's input for a photo in an evaluation, H * W * 3 bytes. */
export function modelInput(photo: Photo, size: Size, fraction: number): Uint8Array<ArrayBuffer> {
  return resize(photo, size, centralBox(photo, size, fraction));
}

/**
 * Resizes a part of a picture as in docs/formats.md, bit for bit like Pillow 12, which takes the rows first.
 *
 * @param source The picture.
 * @param size Height and width of the result.
 * @param box The part; by default the complete picture.
 * @returns RGB, height * width * 3 bytes.
 */
export function resize(source: PixelSource, size: Size, box?: Box): Uint8Array<ArrayBuffer> {
  const [left, top, right, bottom] = (box ?? [0, 0, source.width, source.height]).map(
    Math.fround,
  ) as unknown as Box;
  const [height, width] = size;
  if (!(
    left >= 0 &&
    top >= 0 &&
    right <= source.width &&
    bottom <= source.height &&
    left < right &&
    top < bottom
  )) {
    throw new InputError(
      `expected a box inside of ${source.width} x ${source.height} pixels, got ` +
        `${[left, top, right, bottom].join(", ")}; give a smaller box`,
    );
  }
  const columns = taps(source.width, left, right, width);
  const rows = taps(source.height, top, bottom, height);
  const firstRow = rows?.starts[0] ?? 0;
  const lastRow = rows ? rows.starts[height - 1]! + rows.counts[height - 1]! : source.height;
  const narrow = new Uint8Array((lastRow - firstRow) * width * 3);
  for (let row = firstRow; row < lastRow; row += STRIP) {
    const end = Math.min(row + STRIP, lastRow);
    const strip = onWhite(source.rows(row, end), source.channels);
    squeezeRows(strip, source.width, end - row, columns, narrow, (row - firstRow) * width * 3, width);
  }
  return rows ? squeezeColumns(narrow, width, firstRow, rows, height) : narrow;
}

/** Mirrors a picture left and right, in place. */
export function mirror(pixels: Uint8Array, size: Size): void {
  const [height, width] = size;
  for (let y = 0; y < height; y++) {
    for (let left = 0; left < width - 1 - left; left++) {
      const [from, to] = [(y * width + left) * 3, (y * width + width - 1 - left) * 3];
      for (let channel = 0; channel < 3; channel++) {
        [pixels[from + channel], pixels[to + channel]] = [pixels[to + channel]!, pixels[from + channel]!];
      }
    }
  }
}

/** Rounds halves to even, as Python does. */
export function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

/** For each output pixel: index of the first pixel that it reads, number of pixels, and integer weights. */
interface Taps {
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  readonly weights: Int32Array;
  readonly most: number;
}

/** Returns undefined for an axis that does not change. */
function taps(length: number, from: number, to: number, count: number): Taps | undefined {
  if (from === 0 && to === length && count === length) {
    return undefined;
  }
  const scale = Math.fround(to - from) / count;
  const support = Math.max(scale, 1);
  const most = Math.ceil(support) * 2 + 1;
  const result = {
    starts: new Int32Array(count),
    counts: new Int32Array(count),
    weights: new Int32Array(count * most),
    most,
  };
  const weights = new Float64Array(most);
  for (let i = 0; i < count; i++) {
    const center = from + (i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(center - support + 0.5));
    const taken = Math.min(length, Math.trunc(center + support + 0.5)) - start;
    let sum = 0;
    for (let tap = 0; tap < taken; tap++) {
      weights[tap] = Math.max(0, 1 - Math.abs((tap + start - center + 0.5) * (1 / support)));
      sum += weights[tap]!;
    }
    for (let tap = 0; tap < taken; tap++) {
      result.weights[i * most + tap] = Math.trunc(0.5 + (weights[tap]! / sum) * 2 ** PRECISION);
    }
    result.starts[i] = start;
    result.counts[i] = taken;
  }
  return result;
}

function squeezeRows(
  strip: Uint8Array | Uint8ClampedArray,
  stripWidth: number,
  height: number,
  columns: Taps | undefined,
  target: Uint8Array,
  offset: number,
  width: number,
): void {
  if (!columns) {
    target.set(strip, offset);
    return;
  }
  const { starts, counts, weights, most } = columns;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let at = (y * stripWidth + starts[x]!) * 3;
      const [first, end] = [x * most, x * most + counts[x]!];
      let red = 1 << (PRECISION - 1);
      let green = red;
      let blue = red;
      for (let tap = first; tap < end; tap++, at += 3) {
        const weight = weights[tap]!;
        red += strip[at]! * weight;
        green += strip[at + 1]! * weight;
        blue += strip[at + 2]! * weight;
      }
      target[offset++] = level(red);
      target[offset++] = level(green);
      target[offset++] = level(blue);
    }
  }
}

function squeezeColumns(
  pixels: Uint8Array,
  width: number,
  firstRow: number,
  rows: Taps,
  height: number,
): Uint8Array<ArrayBuffer> {
  const { starts, counts, weights, most } = rows;
  const line = width * 3;
  const result = new Uint8Array(height * line);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < line; x++) {
      let at = (starts[y]! - firstRow) * line + x;
      let sum = 1 << (PRECISION - 1);
      for (let tap = y * most; tap < y * most + counts[y]!; tap++, at += line) {
        sum += pixels[at]! * weights[tap]!;
      }
      result[y * line + x] = level(sum);
    }
  }
  return result;
}

function level(sum: number): number {
  return Math.min(Math.max(sum >> PRECISION, 0), 255);
}

/** Draws RGBA on white, rounded like Pillow's `alpha_composite` on an opaque picture. */
function onWhite(pixels: Uint8Array | Uint8ClampedArray, channels: 3 | 4): Uint8Array | Uint8ClampedArray {
  if (channels === 3) {
    return pixels;
  }
  const result = new Uint8Array((pixels.length / 4) * 3);
  for (let from = 0, to = 0; from < pixels.length; from += 4, to += 3) {
    const alpha = pixels[from + 3]!;
    for (let channel = 0; channel < 3; channel++) {
      const sum = (pixels[from + channel]! * alpha + 255 * (255 - alpha)) * 128 + (0x80 << 7);
      result[to + channel] = alpha === 255 ? pixels[from + channel]! : (((sum >> 8) + sum) >> 8) >> 7;
    }
  }
  return result;
}
