import { strFromU8, strToU8, unzip, zip } from "fflate";
import type { Unzipped, Zippable } from "fflate";
import { InputError } from "../src/index.js";
import { enteredName } from "../src/names.js";
import type { PhotoClass } from "./class-list.js";
import type { ModelFiles } from "./model-files.js";
import { PagePhoto } from "./page-photo.js";

const FORMAT = "tinytl-project";
const VERSION = 1;
const CARD = "project.json";
const STATE = "state.tinytl";
/** Characters that a name of a folder or a file does not have everywhere. */
const UNSAFE = /[\\/:*?"<>|]|^\.+|[. ]+$/g;

/** Everything that a person has made on the page. */
export interface Project {
  readonly files: ModelFiles;
  readonly state: Uint8Array<ArrayBuffer>;
  readonly classes: readonly PhotoClass[];
  /** Digests of all photos that a training has used. */
  readonly trained: ReadonlySet<string>;
}

interface Card {
  readonly format: typeof FORMAT;
  readonly version: number;
  readonly model: string;
  readonly classes: readonly {
    readonly name: string;
    readonly output: number;
    readonly photos: readonly { readonly path: string; readonly digest?: string | undefined }[];
  }[];
  readonly trained: readonly string[];
}

/**
 * Packs a project into a ZIP file.
 *
 * The file has `project.json`; `model/NAME.tflite` with its manifest; `state.tinytl`; and a folder for each class in
 * `photos/`, which `tinytl train` reads, too.
 */
export async function packProject({ files, state, classes, trained }: Project): Promise<Blob> {
  const content: Zippable = {};
  const folders = uniqueNames(classes.map(({ name }) => name));
  const listed: Card["classes"][number][] = [];
  for (const [index, { name, output, photos }] of classes.entries()) {
    const paths = [];
    for (const [position, { file, name: photoName, digest }] of photos.entries()) {
      const number = String(position + 1).padStart(4, "0");
      const path = `photos/${folders[index]!}/${number}-${safeName(file instanceof File ? photoName : "camera.jpg")}`;
      content[path] = new Uint8Array(await file.arrayBuffer());
      paths.push({ path, digest });
    }
    listed.push({ name, output, photos: paths });
  }
  const card: Card = {
    format: FORMAT,
    version: VERSION,
    model: files.name,
    classes: listed,
    trained: [...trained],
  };
  const [model, manifest] = modelPaths(files.name);
  content[model] = new Uint8Array(await files.model.arrayBuffer());
  content[manifest] = strToU8(files.manifest);
  content[STATE] = state;
  content[CARD] = strToU8(`${JSON.stringify(card, null, 2)}\n`);
  // Photos are compressed already, and the model barely compresses.
  const bytes = await new Promise<Uint8Array>((resolve, reject) => {
    zip(content, { level: 0, consume: true }, (error, data) => {
      if (error) {
        reject(error);
      } else {
        resolve(data);
      }
    });
  });
  return new Blob([bytes as Uint8Array<ArrayBuffer>], { type: "application/zip" });
}

/**
 * Reads a project from a ZIP file.
 *
 * @throws InputError If it is not one, is damaged or of a later version, or a part is missing.
 */
export async function readProject(file: File): Promise<Project> {
  const content = await unpack(file);
  const part = (path: string): Uint8Array<ArrayBuffer> => {
    const found = Object.hasOwn(content, path) ? content[path] : undefined;
    if (!found) {
      throw new InputError(
        `${file.name} is damaged: expected ${path} in it, found none; save the project again`,
      );
    }
    return found;
  };
  const card = readCard(content, file.name);
  const [model, manifest] = modelPaths(card.model);
  const files = { name: card.model, model: new Blob([part(model)]), manifest: strFromU8(part(manifest)) };
  const classes = card.classes.map(({ name, output, photos }) => ({
    name: enteredName(name),
    output,
    photos: photos.map(({ path, digest }) => {
      const bytes = part(path);
      return () => new PagePhoto(new File([bytes], path.split("/").at(-1)!), { digest });
    }),
  }));
  const state = part(STATE);
  // Only now, since each photo takes memory of the page.
  return {
    files,
    state,
    classes: classes.map((entry) => ({ ...entry, photos: entry.photos.map((open) => open()) })),
    trained: new Set(card.trained),
  };
}

async function unpack(file: File): Promise<Unzipped> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  return new Promise((resolve, reject) => {
    unzip(bytes, (error, content) => {
      if (error) {
        reject(
          new InputError(
            `expected a project, a .zip that “Save project” has written, got ${file.name} (${error.message}); choose ` +
              "another file",
          ),
        );
      } else {
        resolve(content);
      }
    });
  });
}

function readCard(content: Unzipped, name: string): Card {
  let card: Card | undefined;
  try {
    card = JSON.parse(strFromU8(content[CARD] ?? strToU8("null"))) as Card | undefined;
  } catch {
    card = undefined;
  }
  if (!isCard(card)) {
    throw new InputError(
      `expected a project, a .zip that “Save project” has written, got ${name} without a valid ${CARD}; choose another ` +
        "file, or drop the folders of photos that are in it",
    );
  }
  if (card.version !== VERSION) {
    throw new InputError(
      `expected a project of version ${VERSION}, got ${name} of version ${card.version}; open it with a newer page`,
    );
  }
  return card;
}

/** Whether all parts have their types; the version may be another. */
function isCard(card: Partial<Card> | null | undefined): card is Card {
  const isPhoto = (photo: Partial<Card["classes"][number]["photos"][number]> | null) =>
    typeof photo?.path === "string" && ["string", "undefined"].includes(typeof photo.digest);
  const isClass = (entry: Partial<Card["classes"][number]> | null) =>
    typeof entry?.name === "string" &&
    Number.isInteger(entry.output) &&
    Array.isArray(entry.photos) &&
    entry.photos.every(isPhoto);
  return (
    card?.format === FORMAT &&
    typeof card.model === "string" &&
    Array.isArray(card.classes) &&
    card.classes.every(isClass) &&
    Array.isArray(card.trained) &&
    card.trained.every((digest) => typeof digest === "string")
  );
}

function modelPaths(name: string): readonly [model: string, manifest: string] {
  return [`model/${name}.tflite`, `model/${name}.manifest.json`];
}

function safeName(name: string): string {
  return name.replace(UNSAFE, "_") || "_";
}

/** Names of folders, which are different for different names, on systems that ignore case, too. */
function uniqueNames(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    let candidate = safeName(name);
    for (let number = 2; taken.has(candidate.toLowerCase()); number++) {
      candidate = `${safeName(name)} ${number}`;
    }
    taken.add(candidate.toLowerCase());
    return candidate;
  });
}
