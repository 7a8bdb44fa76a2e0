/**
 * Which photos of a folder the page holds out.
 *
 *     node scripts/benchmark.mjs split FOLDER
 *
 * The classes are the folders in it, in the order of the model's outputs. Prints a list of paths in the folder.
 */
import { readdirSync } from "node:fs";
import { holdOut } from "../src/photo-set.js";

const folder = process.argv[2]!;
const photos = readdirSync(folder)
  .sort()
  .flatMap((name, label) =>
    readdirSync(`${folder}/${name}`)
      .sort()
      .map((file) => ({ id: `${name}/${file}`, label, read: () => Promise.reject(new Error("not needed")) })),
  );
console.log(JSON.stringify(holdOut(photos, 0).heldOut.map(({ id }) => id)));
