import { InputError } from "../src/index.js";
import type { LabeledPhoto, Size } from "../src/index.js";
import { PagePhoto } from "./page-photo.js";
import type { Storage } from "./storage.js";

/** One class: an output of the model, what a person calls it, and photos. */
export interface PhotoClass {
  output: number;
  name: string;
  readonly photos: PagePhoto[];
}

const FEWEST_CLASSES = 2;
const FEWEST_PHOTOS = 2;

/** The classes that a person trains, each on an output of the model. */
export class ClassList {
  readonly classes: PhotoClass[] = [];
  #labels: readonly string[] = [];

  constructor(
    private readonly storage: Storage,
    private readonly changed: () => void,
  ) {}

  /** Reads what was stored. */
  async restore(): Promise<void> {
    for (const { output, name } of (await this.storage.get("classes")) ?? []) {
      this.classes.push({ output, name, photos: [] });
    }
    for (const { id, className, file } of (await this.storage.photos()) ?? []) {
      this.classes.find(({ name }) => name === className)?.photos.push(new PagePhoto(file, id));
    }
  }

  /** Puts the classes on the outputs of a model: by name where it has the name, else on the first free ones. */
  useLabels(labels: readonly string[]): void {
    const kept = this.#kept(labels);
    this.classes.splice(0, this.classes.length, ...kept);
    this.#labels = labels;
    const byName = this.classes.filter((entry) => {
      const output = this.#outputCalled(entry.name);
      entry.output = output;
      return output >= 0;
    });
    const taken = new Set(byName.map(({ output }) => output));
    for (const entry of this.classes.filter(({ output }) => output < 0)) {
      entry.output = labels.findIndex((_, output) => !taken.has(output));
      taken.add(entry.output);
    }
    while (this.classes.length < Math.min(FEWEST_CLASSES, labels.length)) {
      this.add();
    }
    this.#keep();
  }

  /** Refuses a model that has fewer classes than a person uses. */
  requireRoom(labels: readonly string[]): void {
    const count = this.#kept(labels).length;
    if (count > labels.length) {
      throw new InputError(
        `expected at most ${labels.length} classes, which is what this model has, got ${count}; remove classes`,
      );
    }
  }

  /** Classes but those of the model before that nobody has given a name or a photo. */
  #kept(labels: readonly string[]): PhotoClass[] {
    return this.classes.filter(
      ({ name, photos }) => photos.length > 0 || labels.includes(name) || !this.#labels.includes(name),
    );
  }

  /** Whether the model has an output for another class. */
  get hasRoom(): boolean {
    return this.classes.length < this.#labels.length;
  }

  /** Adds a class, by default one that the model knows. */
  add(name?: string): PhotoClass {
    const taken = new Set(this.classes.map(({ output }) => output));
    const called = name === undefined ? -1 : this.#outputCalled(name);
    const output =
      called >= 0 && !taken.has(called) ? called : this.#labels.findIndex((_, free) => !taken.has(free));
    if (output < 0) {
      throw new InputError(
        `expected at most ${this.#labels.length} classes, which is what this model has, got one more` +
          `${name === undefined ? "" : ` (${name})`}; remove a class, or export a model of more`,
      );
    }
    const entry = { output, name: name ?? this.#labels[output]!, photos: [] };
    this.classes.push(entry);
    this.#keep();
    return entry;
  }

  /** Names a class; a name that the model has takes its output. */
  rename(entry: PhotoClass, name: string): void {
    const clean = name.trim().normalize("NFC");
    if (clean === "" || this.classes.some((other) => other !== entry && other.name === clean)) {
      const got = clean === "" ? "an empty one" : `"${clean}" twice`;
      throw new InputError(`expected a name of its own for each class, got ${got}; choose another`);
    }
    const output = this.#outputCalled(clean);
    const holder = this.classes.find((other) => other.output === output);
    if (output >= 0 && holder && holder !== entry) {
      holder.output = entry.output;
    }
    entry.output = output >= 0 ? output : entry.output;
    entry.name = clean;
    this.#keep();
    for (const photo of entry.photos) {
      void this.storage.addPhoto({ id: photo.id, className: clean, file: photo.file });
    }
  }

  /** Adds photos to a class. */
  addPhotos(entry: PhotoClass, files: readonly Blob[]): void {
    for (const file of files) {
      const photo = new PagePhoto(file);
      entry.photos.push(photo);
      void this.storage.addPhoto({ id: photo.id, className: entry.name, file });
    }
    this.changed();
  }

  /** Adds photos of folders, each of which is a class. */
  addFolders(folders: ReadonlyMap<string, readonly File[]>): number {
    let count = 0;
    const untouched = () =>
      this.classes.find(({ name, output, photos }) => photos.length === 0 && name === this.#labels[output]);
    for (const [folder, files] of folders) {
      const name = folder.normalize("NFC");
      let entry = this.classes.find((candidate) => candidate.name === name);
      if (!entry && this.#outputCalled(name) < 0) {
        entry = untouched(); // a card that nobody has named yet
        if (entry) {
          this.rename(entry, name);
        }
      }
      entry ??= this.add(name);
      this.addPhotos(entry, files);
      count += files.length;
    }
    return count;
  }

  removePhoto(entry: PhotoClass, photo: PagePhoto): void {
    entry.photos.splice(entry.photos.indexOf(photo), 1);
    photo.delete();
    void this.storage.removePhoto(photo.id);
    this.changed();
  }

  remove(entry: PhotoClass): void {
    for (const photo of [...entry.photos]) {
      this.removePhoto(entry, photo);
    }
    this.classes.splice(this.classes.indexOf(entry), 1);
    this.#keep();
  }

  /** Removes all photos, and the classes beyond the first two. */
  clear(): void {
    for (const entry of [...this.classes]) {
      this.remove(entry);
    }
    void this.storage.removePhotos();
    this.useLabels(this.#labels);
  }

  /** All photos of all classes. */
  get count(): number {
    return this.classes.reduce((sum, { photos }) => sum + photos.length, 0);
  }

  /** What is missing before one can train, or nothing. */
  missing(): string {
    const used = this.classes.filter(({ photos }) => photos.length > 0);
    const short = used.filter(({ photos }) => photos.length < FEWEST_PHOTOS).map(({ name }) => name);
    if (used.length < FEWEST_CLASSES) {
      return `Too few photos: training needs at least ${FEWEST_PHOTOS} photos in each of ${FEWEST_CLASSES} classes.`;
    }
    return short.length > 0 ? `Too few photos: add at least one more to ${short.join(", ")}.` : "";
  }

  /** What the trainer takes. */
  labeledPhotos(size: Size): LabeledPhoto[] {
    return this.classes.flatMap(({ output, photos }) =>
      photos.map((photo) => ({ id: photo.id, label: output, read: () => photo.read(size) })),
    );
  }

  #outputCalled(name: string): number {
    return this.#labels.findIndex((label) => label.normalize("NFC") === name.normalize("NFC"));
  }

  #keep(): void {
    void this.storage.set(
      "classes",
      this.classes.map(({ output, name }) => ({ output, name })),
    );
    this.changed();
  }
}
