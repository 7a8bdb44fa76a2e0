import { InputError } from "../src/index.js";

// Not all browsers read all of them: unreadable files are named when they are added.
const PHOTO = /\.(jpe?g|png|webp|gif|bmp|avif|heic|heif|jxl|tiff?)$/i;

/** Files by kind. */
export interface SortedFiles {
  readonly models: File[];
  readonly manifests: File[];
  readonly states: File[];
  readonly projects: File[];
  /** Name of a folder -> its photos; single photos are under "". */
  readonly folders: Map<string, File[]>;
}

/** A file with the names of the folders that it lies in. */
export type PlacedFile = readonly [path: string, file: File];

/** Chosen files, with their folders if the browser has them, in the order of their names. */
export function placed(files: readonly File[]): PlacedFile[] {
  return inOrder(files.map((file) => [file.webkitRelativePath || file.name, file]));
}

/** Reads dropped files, with folders. */
export async function droppedFiles(transfer: DataTransfer): Promise<PlacedFile[]> {
  // The list is empty once the event is over: all entries are taken before anything is awaited.
  const entries = [...transfer.items]
    .map((item) => item.webkitGetAsEntry())
    .filter((entry) => entry !== null);
  return entries.length > 0 ? (await Promise.all(entries.map(walk))).flat() : placed([...transfer.files]);
}

/** Sorts files by their endings; photos by the folder that they lie in. */
export function sortFiles(files: readonly PlacedFile[]): SortedFiles {
  const sorted: SortedFiles = {
    models: [],
    manifests: [],
    states: [],
    projects: [],
    folders: new Map(),
  };
  for (const [path, file] of files) {
    const folder = path.split("/").filter(Boolean).at(-2) ?? "";
    if (file.name.startsWith(".")) {
      continue;
    }
    if (file.name.endsWith(".tflite")) {
      sorted.models.push(file);
    } else if (file.name.endsWith(".json")) {
      sorted.manifests.push(file);
    } else if (file.name.endsWith(".tinytl")) {
      sorted.states.push(file);
    } else if (file.name.endsWith(".zip")) {
      sorted.projects.push(file);
    } else if (PHOTO.test(file.name) || file.type.startsWith("image/")) {
      sorted.folders.set(folder, [...(sorted.folders.get(folder) ?? []), file]);
    }
  }
  const { models, manifests, states, projects, folders } = sorted;
  const found = [models, manifests, states, projects].flat().length + folders.size;
  if (found === 0) {
    throw new InputError(
      `expected photos, folders of photos, a .tflite with its .manifest.json, a .tinytl, or a project (.zip), got ` +
        `${
          files.length > 0
            ? files
                .map(([path]) => path)
                .join(", ")
                .slice(0, 200)
            : "nothing"
        }; choose others`,
    );
  }
  return sorted;
}

/** Browsers list a folder in any order; the order of a training depends on it. */
function inOrder(files: PlacedFile[]): PlacedFile[] {
  return files.sort(([one], [other]) => (one < other ? -1 : 1));
}

async function walk(entry: FileSystemEntry): Promise<PlacedFile[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => {
      (entry as FileSystemFileEntry).file(resolve, reject);
    });
    return [[entry.fullPath, file]];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: PlacedFile[] = [];
  for (;;) {
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) => {
      reader.readEntries(resolve, reject);
    });
    if (entries.length === 0) {
      return inOrder(found);
    }
    for (const child of entries) {
      found.push(...(await walk(child)));
    }
  }
}
