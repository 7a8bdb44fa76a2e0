/**
 * Photos of a folder that the page holds out, before its first training.
 *
 *     node scripts/benchmark.mjs split FOLDER SEED
 *
 * The classes are the folders in it, in the order of the model's outputs; the seed is `data.split_seed` of the model's
 * manifest. Prints a list of paths in the folder.
 */
import { readdirSync, readFileSync } from "node:fs";
import { photoId } from "../src/photo-id.js";
import { holdOut } from "../src/photo-set.js";

const [folder, seed] = process.argv.slice(2) as [string, string];
const paths = readdirSync(folder)
  .sort()
  .flatMap((name, label) =>
    readdirSync(`${folder}/${name}`)
      .sort()
      .map((file) => ({ path: `${name}/${file}`, label })),
  );
const photos = await Promise.all(
  paths.map(async ({ path, label }) => ({
    id: await photoId(readFileSync(`${folder}/${path}`)),
    label,
    path,
    read: () => Promise.reject(new Error("not needed")),
  })),
);
const held = new Set(holdOut(photos, Number(seed), new Set()).heldOut);
console.log(JSON.stringify(photos.filter((photo) => held.has(photo)).map(({ path }) => path)));
