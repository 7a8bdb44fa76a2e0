import { InputError } from "../src/index.js";
import type { LabeledPhoto, Size } from "../src/index.js";
import { checkNames } from "../src/names.js";
import { PagePhoto } from "./page-photo.js";
import type { Storage } from "./storage.js";

/** Stands for the spare output that a class gets when it is trained for the first time. */
export const NEW = -1;

/** One class: an output of the model or `NEW`, what a person calls it, and photos. */
export interface PhotoClass {
  output: number;
  name: string;
  readonly photos: PagePhoto[];
}

/** What the classes of a page are put on: a model, of which only this is looked at. */
export interface Outputs {
  /** Names of the outputs, the model's own and then the added ones. */
  readonly classNames: readonly string[];
  /** Number of outputs after those that have no name yet. */
  readonly spareClasses: number;
}

const FEWEST_CLASSES = 2;
const FEWEST_PHOTOS = 2;

/** The classes that a person trains, each on an output of the model. */
export class ClassList {
  readonly classes: PhotoClass[] = [];
  #names: readonly string[] = [];
  #spare = 0;
  #own = 0;

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

  /**
   * Puts the classes on the outputs of a model: by name where it has the name, else on spare ones, else on the first free
   * ones.
   *
   * @param outputs The model as it is now; only names and numbers are read.
   * @param own How many of the names the model was exported with.
   */
  useOutputs({ classNames, spareClasses }: Outputs, own: number): void {
    const kept = this.#kept(classNames);
    [this.#names, this.#spare, this.#own] = [[...classNames], spareClasses, own];
    this.classes.splice(0, this.classes.length, ...kept);
    for (const entry of this.classes) {
      entry.output = this.#outputCalled(entry.name);
    }
    for (const entry of this.classes.filter(({ output }) => output < 0).slice(spareClasses)) {
      entry.output = this.#firstFree();
    }
    const taken = new Set(this.classes.map(({ output }) => output));
    classNames.forEach((name, output) => {
      if (output >= own && !taken.has(output)) {
        this.classes.push({ output, name, photos: [] });
      }
    });
    while (this.classes.length < Math.min(FEWEST_CLASSES, classNames.length + spareClasses)) {
      this.add();
    }
    this.#keep();
  }

  /** Refuses a model that has fewer classes than a person uses. */
  requireRoom({ classNames, spareClasses }: Outputs): void {
    const [count, most] = [this.#kept(classNames).length, classNames.length + spareClasses];
    if (count > most) {
      throw new InputError(
        `expected at most ${most} classes, which is what this model has, got ${count}; remove classes`,
      );
    }
  }

  /** Classes but those of the model before that nobody has given a name or a photo. */
  #kept(names: readonly string[]): PhotoClass[] {
    return this.classes.filter(
      ({ name, photos }) => photos.length > 0 || names.includes(name) || !this.#names.includes(name),
    );
  }

  /** Whether the model has an output for another class. */
  get hasRoom(): boolean {
    return this.classes.length < this.#names.length + this.#spare;
  }

  /** Classes with photos that the model does not have yet. */
  get newClasses(): PhotoClass[] {
    return this.classes.filter(({ output, photos }) => output === NEW && photos.length > 0);
  }

  /** Names of the classes by outputs that were added to the model. */
  get addedNames(): (readonly [output: number, name: string])[] {
    return this.classes
      .filter(({ output }) => output >= this.#own)
      .map(({ output, name }) => [output, name] as const);
  }

  /** Names by which a state file counts, in the order of the outputs. */
  get namesInFile(): readonly string[] {
    return this.#names;
  }

  /** What a person has to know of a class's name, or nothing. */
  note({ output, name }: PhotoClass): string {
    if (output === NEW) {
      return "New to the model: training adds it.";
    }
    if (output >= this.#own) {
      return "Added to the model; its name is in the state file.";
    }
    return this.#names[output] === name ? "" : `The state file calls it “${this.#names[output]}”.`;
  }

  /** Adds a class, by default one that the model knows. */
  add(name?: string): PhotoClass {
    if (!this.hasRoom) {
      throw new InputError(
        `expected at most ${this.#names.length + this.#spare} classes, which is what this model has, got one more` +
          `${name === undefined ? "" : ` (${name})`}; remove a class, or export a model of more`,
      );
    }
    const free = this.#firstFree();
    const called = name ?? this.#names[free] ?? this.#unusedName();
    this.#checkName(called);
    const output = this.#spareLeft > 0 && (name !== undefined || free < 0) ? NEW : free;
    const entry = { output, name: called, photos: [] };
    this.classes.push(entry);
    this.#takeOutputCalled(entry);
    this.#keep();
    return entry;
  }

  /** Gives a new class the output that was added to the model for it. */
  putOn(entry: PhotoClass, output: number): void {
    entry.output = output;
    this.#names = [...this.#names, entry.name];
    this.#spare--;
    this.#keep();
  }

  /** Names a class; a name that the model has takes its output, another one a spare one. */
  rename(entry: PhotoClass, name: string): void {
    const clean = name.trim().normalize("NFC");
    if (clean === "" || this.classes.some((other) => other !== entry && other.name === clean)) {
      const got = clean === "" ? "an empty one" : `"${clean}" twice`;
      throw new InputError(`expected a name of its own for each class, got ${got}; choose another`);
    }
    this.#checkName(clean);
    entry.name = clean;
    if (!this.#takeOutputCalled(entry) && entry.output < this.#own && this.#spareLeft > 0) {
      entry.output = NEW;
    }
    this.#keep();
    for (const photo of entry.photos) {
      void this.storage.addPhoto({ id: photo.id, className: clean, file: photo.file });
    }
  }

  /** Puts a class on the output that has its name; who was there goes where it comes from. */
  #takeOutputCalled(entry: PhotoClass): boolean {
    const output = this.#outputCalled(entry.name);
    if (output < 0) {
      return false;
    }
    for (const holder of this.classes) {
      holder.output = holder.output === output ? entry.output : holder.output;
    }
    entry.output = output;
    return true;
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
      this.classes.find(
        ({ name, output, photos }) =>
          photos.length === 0 && output < this.#own && name === this.#names[output],
      );
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
    this.useOutputs({ classNames: this.#names, spareClasses: this.#spare }, this.#own);
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
    return this.#names.findIndex((label) => label.normalize("NFC") === name.normalize("NFC"));
  }

  /** The first output with a name that no class has, or -1. */
  #firstFree(): number {
    const taken = new Set(this.classes.map(({ output }) => output));
    return this.#names.findIndex((_, output) => !taken.has(output));
  }

  get #spareLeft(): number {
    return this.#spare - this.classes.filter(({ output }) => output === NEW).length;
  }

  #unusedName(): string {
    const taken = new Set(this.classes.map(({ name }) => name));
    let number = this.classes.length + 1;
    while (taken.has(`class ${number}`)) {
      number++;
    }
    return `class ${number}`;
  }

  /** Names that may go into a state file have rules. */
  #checkName(name: string): void {
    if (this.#names.length + this.#spare > this.#own) {
      checkNames([name]);
    }
  }

  #keep(): void {
    // An output that was added is called what a person calls it.
    this.#names = this.#names.map(
      (name, output) =>
        (output < this.#own ? undefined : this.classes.find((entry) => entry.output === output)?.name) ??
        name,
    );
    void this.storage.set(
      "classes",
      this.classes.map(({ output, name }) => ({ output, name })),
    );
    this.changed();
  }
}
