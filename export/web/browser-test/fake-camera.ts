import { writeFileSync } from "node:fs";

const WIDTH = 320;
const HEIGHT = 240;
const FRAMES = 120; // of each scene, 30 a second

/**
 * Writes a video for Chromium's fake camera: four seconds of stripes on red, four seconds of a disk on blue, and again.
 *
 * @param path The file, `.y4m`.
 */
export function writeCameraVideo(path: string): void {
  const frames = [stripes, disk].flatMap((scene) =>
    Array.from({ length: FRAMES }, (_, index) => frame(scene, index)),
  );
  writeFileSync(
    path,
    Buffer.concat([Buffer.from(`YUV4MPEG2 W${WIDTH} H${HEIGHT} F30:1 Ip A1:1 C420\n`), ...frames]),
  );
}

/** Luma, blue and red of a pixel. */
type Scene = (x: number, y: number, index: number) => readonly [number, number, number];

const stripes: Scene = (x, y, index) => ((x + y + 2 * index) % 40 < 20 ? [90, 100, 200] : [210, 100, 150]);
const disk: Scene = (x, y, index) =>
  (x - 130 - index) ** 2 + (y - 120) ** 2 < 70 ** 2 ? [200, 90, 130] : [60, 190, 100];

function frame(scene: Scene, index: number): Buffer {
  const quarter = (WIDTH * HEIGHT) / 4;
  const luma = Buffer.alloc(WIDTH * HEIGHT);
  const blue = Buffer.alloc(quarter);
  const red = Buffer.alloc(quarter);
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++) {
      const [level, b, r] = scene(x, y, index);
      luma[y * WIDTH + x] = level;
      if (x % 2 === 0 && y % 2 === 0) {
        const at = (y / 2) * (WIDTH / 2) + x / 2;
        blue[at] = b;
        red[at] = r;
      }
    }
  }
  return Buffer.concat([Buffer.from("FRAME\n"), luma, blue, red]);
}
