import { InputError, reason } from "./errors.js";
import { shrink } from "./pixels.js";
import type { Photo, PixelSource, Size } from "./pixels.js";

/** Sources that a browser can draw: bitmaps, canvases, playing videos, images. */
export type Drawable =
  ImageBitmap | HTMLCanvasElement | OffscreenCanvas | HTMLVideoElement | HTMLImageElement;

const MOST_PIXELS = 89_000_000; // the Python client's limit

/**
 * Reads a photo's file by steps 1 and 2 of "Pixels" in docs/formats.md: upright, on white, without a color profile,
 * shrunk.
 *
 * @param file JPEG, PNG, WebP, GIF or another format that the browser can read.
 * @param size Size of the model's input.
 * @throws InputError If the browser cannot decode it.
 */
export async function photoFromFile(file: Blob, size: Size): Promise<Photo> {
  const name = file instanceof File ? file.name : "the photo";
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file, {
      imageOrientation: "from-image",
      colorSpaceConversion: "none",
      premultiplyAlpha: "default",
    });
  } catch (error) {
    throw new InputError(
      `expected a photo that this browser can read, got ${name} (${reason(error)}); use a JPEG, PNG or WebP file`,
    );
  }
  try {
    if (bitmap.width * bitmap.height > MOST_PIXELS) {
      throw new InputError(
        `expected a photo of at most ${MOST_PIXELS} pixels, got ${name} of ${bitmap.width} x ${bitmap.height}; ` +
          "shrink it",
      );
    }
    return photoFrom(bitmap, size);
  } finally {
    bitmap.close();
  }
}

/**
 * Reads a drawing, or the current frame of a video, as a photo, shrunk by step 2 of "Pixels" in docs/formats.md.
 *
 * @param drawable The picture, upright.
 * @param size Size of the model's input.
 * @throws InputError If it has no pixels, for example a video before its first frame.
 */
export function photoFrom(drawable: Drawable, size: Size): Photo {
  const source = new DrawableSource(drawable);
  return shrink(source, size);
}

/** Reads rows of a drawable through a canvas that is one strip high, because phones limit the size of a canvas. */
class DrawableSource implements PixelSource {
  readonly channels = 4;
  readonly width: number;
  readonly height: number;
  readonly #canvas: OffscreenCanvas | HTMLCanvasElement;

  constructor(private readonly drawable: Drawable) {
    [this.width, this.height] = naturalSize(drawable);
    if (this.width === 0 || this.height === 0) {
      throw new InputError(
        "expected a picture, got one without pixels; wait until the camera or image is ready",
      );
    }
    this.#canvas = createCanvas();
  }

  rows(top: number, bottom: number): Uint8ClampedArray {
    const [width, height] = [this.width, bottom - top];
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
    }
    // The two kinds of canvas have the same methods, but different types.
    const canvas = this.#canvas as HTMLCanvasElement;
    const context = canvas.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });
    if (!context) {
      throw new InputError(
        "expected a canvas to read a photo with, which this browser lacks; close other pages",
      );
    }
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
    context.drawImage(this.drawable, 0, top, width, height, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  }
}

function createCanvas(): OffscreenCanvas | HTMLCanvasElement {
  return typeof OffscreenCanvas === "function" ? new OffscreenCanvas(1, 1) : document.createElement("canvas");
}

function naturalSize(drawable: Drawable): [number, number] {
  if ("videoWidth" in drawable) {
    return [drawable.videoWidth, drawable.videoHeight];
  }
  return "naturalWidth" in drawable
    ? [drawable.naturalWidth, drawable.naturalHeight]
    : [drawable.width, drawable.height];
}
