import { InputError, photoId } from "../src/index.js";
import type { LabeledPhoto, Size } from "../src/index.js";
import { enteredName, indexOfName } from "../src/names.js";
import { PagePhoto } from "./page-photo.js";
import type { Storage } from "./storage.js";

/** Placeholder for the spare output that a class gets in its first training. */
export const NEW = -1;

/** One class: an output of the model or `NEW`, the user's name, and photos. */
export interface PhotoClass {
  output: number;
  name: string;
  readonly photos: PagePhoto[];
}

/** The parts of a model that the classes of the page use. */
export interface Outputs {
  /** Names of the outputs, the model's own and then the added ones. */
  readonly classNames: readonly string[];
  /** Number of outputs after these without a name. */
  readonly spareClasses: number;
}

/** A removed class or photo, and how to restore it. */
export interface Removal {
  /** The class, or the photo's class, in words. */
  readonly what: string;
  readonly photos: readonly PagePhoto[];
  /** Puts it back; refuses where the model has no room for it any more. */
  undo(): void;
}

const FEWEST_CLASSES = 2;
const FEWEST_PHOTOS = 2;

/** The classes that a person trains, each on an output of the model. */
export class ClassList {
  readonly classes: PhotoClass[] = [];
  /** Digests of all photos that a training has used. */
  trained: ReadonlySet<string> = new Set();
  /** The last removal, while it can be undone. */
  removed: Removal | undefined;
  #names: readonly string[] = [];
  #spare = 0;
  #own = 0;
  #model = ""; // SHA-256 of the model that the outputs of the classes are for

  constructor(
    private readonly storage: Storage,
    private readonly changed: () => void,
  ) {}

  /** Reads the stored classes and photos. */
  async restore(): Promise<void> {
    const [classes, model, photos, trained, learned] = await Promise.all([
      this.storage.get("classes"),
      this.storage.get("classesOf"),
      this.storage.photos(),
      this.storage.get("trained"),
      this.storage.get("learned"),
    ]);
    this.#model = model ?? "";
    for (const { output, name } of classes ?? []) {
      this.classes.push({ output, name, photos: [] });
    }
    for (const { id, className, file, digest } of photos ?? []) {
      let entry = this.classes.find(({ name }) => name === className);
      if (!entry) {
        // A tab of an earlier version of the page may have left it out of the list: its photos are not lost.
        entry = { output: NEW, name: className, photos: [] };
        this.classes.push(entry);
      }
      entry.photos.push(new PagePhoto(file, { id, digest }));
    }
    this.trained = new Set(trained);
    if (!trained && learned) {
      // An earlier version of the page did not note which of them it has trained on.
      const digests: string[] = [];
      for (const { file } of photos ?? []) {
        digests.push(await photoId(file).catch(() => ""));
      }
      await this.markTrained(digests);
    }
  }

  /** Ends when all changes so far are stored: only then may the page tell of them. */
  stored(): Promise<void> {
    return this.storage.written();
  }

  /** Marks photos as trained: they are never held out again, even after a removal. */
  async markTrained(digests: readonly string[]): Promise<void> {
    this.trained = new Set([...this.trained, ...digests]);
    await this.storage.set("trained", [...this.trained]);
  }

  /**
   * Puts the classes on the outputs of a model: by name if it has the name, else on their former ones, else on spare ones,
   * else on the first free ones.
   *
   * @param outputs The model as it is now; only names and numbers are read.
   * @param own How many of the names the model was exported with.
   * @param model SHA-256 of the model.
   * @param former Outputs that the model was trained on, by class; by default the present ones, if it is their model.
   */
  useOutputs(
    { classNames, spareClasses }: Outputs,
    own: number,
    model: string,
    former = model === this.#model ? this.outputs : new Map<PhotoClass, number>(),
  ): void {
    indexOfName(classNames, ""); // refuses names by which no class can be matched
    const kept = this.#kept(classNames);
    [this.#names, this.#spare, this.#own] = [[...classNames], spareClasses, own];
    this.classes.splice(0, this.classes.length, ...kept);
    for (const entry of this.classes) {
      entry.output = this.#outputCalled(entry.name);
    }
    this.#keepFormer(former);
    this.#model = model;
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

  /** Puts classes whose name the model does not have back on its own outputs that they had. */
  #keepFormer(former: ReadonlyMap<PhotoClass, number>): void {
    for (const entry of this.classes.filter(({ output }) => output < 0)) {
      const output = former.get(entry) ?? NEW;
      if (output >= 0 && output < this.#own && this.classes.every((other) => other.output !== output)) {
        entry.output = output;
      }
    }
  }

  /** Replaces all classes and photos, before the outputs of a model are used. */
  replace(classes: readonly PhotoClass[], model: string): void {
    this.clear();
    this.#model = model;
    this.classes.splice(0, this.classes.length, ...classes);
    for (const entry of classes) {
      void this.#store(entry, entry.photos);
    }
  }

  /** Refuses a model that has fewer classes than a person uses. */
  requireRoom({ classNames, spareClasses }: Outputs): void {
    const [count, most] = [this.#kept(classNames).length, classNames.length + spareClasses];
    if (count > most) {
      throw new InputError(
        `expected at most ${most} classes, the number of this model, got ${count}; remove classes`,
      );
    }
  }

  /** Classes without unused ones of the previous model: those without a user's name or photo. */
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
    return this.classes.filter((entry) => entry.output === NEW && readable(entry).length > 0);
  }

  /** Names of the classes by outputs that were added to the model. */
  get addedNames(): (readonly [output: number, name: string])[] {
    return this.classes
      .filter(({ output }) => output >= this.#own)
      .map(({ output, name }) => [output, name] as const);
  }

  /** The output of each class. */
  get outputs(): ReadonlyMap<PhotoClass, number> {
    return new Map(this.classes.map((entry) => [entry, entry.output]));
  }

  /** Names by which a state file counts, in the order of the outputs. */
  get namesInFile(): readonly string[] {
    return this.#names;
  }

  /** A note about a class's name for the user, or nothing. */
  note({ output, name }: PhotoClass): string {
    if (output === NEW) {
      return "New to the model: training adds it.";
    }
    if (output >= this.#own) {
      return "Added to the model; its name is in the state file.";
    }
    return this.#names[output] === name ? "" : `The state file calls it “${this.#names[output]}”.`;
  }

  /** Adds a class, by default one of the model's. */
  add(name?: string): PhotoClass {
    const free = this.#firstFree();
    const entry = { output: free, name: name ?? this.#names[free] ?? this.#unusedName(), photos: [] };
    this.#insert(entry, this.classes.length, this.#spareLeft > 0 && (name !== undefined || free < 0));
    return entry;
  }

  /** Puts a class into the list, on a spare output if `isNew`; if the model has its name on the output that has it. */
  #insert(entry: PhotoClass, index: number, isNew: boolean): void {
    if (!this.hasRoom) {
      throw new InputError(
        `expected at most ${this.#names.length + this.#spare} classes, the number of this model, got one more ` +
          `(${entry.name}); remove a class, or export a model of more`,
      );
    }
    entry.name = this.#checkName(entry.name, entry);
    entry.output = isNew ? NEW : this.#firstFree();
    this.classes.splice(index, 0, entry);
    this.#takeOutputCalled(entry);
    this.#keep();
  }

  /** Gives a new class the output that was added to the model for it. */
  putOn(entry: PhotoClass, output: number): void {
    entry.output = output;
    this.#names = [...this.#names, entry.name];
    this.#spare--;
    this.#keep();
  }

  /** Names a class as a person types it; a name that the model has takes its output, another one a spare one. */
  rename(entry: PhotoClass, typed: string): void {
    this.#rename(entry, typed.trim()); // keyboards of phones add a space
  }

  #rename(entry: PhotoClass, name: string): void {
    entry.name = this.#checkName(name, entry);
    if (!this.#takeOutputCalled(entry) && entry.output < this.#own && this.#spareLeft > 0) {
      entry.output = NEW;
    }
    this.#keep();
    void this.#store(entry, entry.photos);
  }

  /** Moves a class to the output with its name; the class there takes its old output. */
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
  addPhotos(entry: PhotoClass, photos: readonly PagePhoto[]): void {
    if (!this.classes.includes(entry)) {
      throw new InputError(
        `expected the class ${entry.name}, which was removed while its photos were read; add them again`,
      );
    }
    entry.photos.push(...photos);
    void this.#store(entry, photos);
    this.changed();
  }

  /** Returns the classes of folders by their names, and adds missing ones: all of them or none. */
  classesOf(folders: readonly string[]): PhotoClass[] {
    const before = this.classes.map((entry) => [entry, { ...entry }] as const);
    try {
      const entries: PhotoClass[] = [];
      for (const folder of folders) {
        entries.push(this.#classOf(folder, entries));
      }
      return entries;
    } catch (error) {
      const entries = before.map(([entry, former]) => Object.assign(entry, former));
      this.classes.splice(0, this.classes.length, ...entries);
      this.#keep();
      throw error;
    }
  }

  /** Returns the class of a folder; classes of other folders (`taken`) have no photos yet, but are in use. */
  #classOf(folder: string, taken: readonly PhotoClass[]): PhotoClass {
    const name = enteredName(folder);
    const entry = this.classes.find((candidate) => candidate.name.normalize("NFC") === name);
    if (entry) {
      return entry;
    }
    // A card without a user's name.
    const untouched = this.classes.find(
      (entry) =>
        entry.photos.length === 0 &&
        !taken.includes(entry) &&
        entry.output < this.#own &&
        entry.name === this.#names[entry.output],
    );
    if (untouched && this.#outputCalled(name) < 0) {
      this.#rename(untouched, name);
      return untouched;
    }
    return this.add(name);
  }

  /** Removes a photo; `removed.undo` brings it back. */
  removePhoto(entry: PhotoClass, photo: PagePhoto): void {
    const index = entry.photos.indexOf(photo);
    entry.photos.splice(index, 1);
    this.#setRemoved(`a photo of ${entry.name}`, [photo], () => {
      if (!this.classes.includes(entry)) {
        this.#insert(entry, this.classes.length, this.#spareLeft > 0);
      }
      entry.photos.splice(index, 0, photo);
      void this.#store(entry, [photo]);
    });
  }

  /** Removes a class with its photos; `removed.undo` brings it back. */
  remove(entry: PhotoClass): void {
    const index = this.classes.indexOf(entry);
    this.classes.splice(index, 1);
    this.#keep();
    this.#setRemoved(`the class ${entry.name} (${entry.photos.length} photos)`, entry.photos, () => {
      this.#insert(entry, index, this.#spareLeft > 0);
      void this.#store(entry, entry.photos);
    });
  }

  #setRemoved(what: string, photos: readonly PagePhoto[], putBack: () => void): void {
    this.#forgetRemoved();
    void this.storage.removePhotos(photos.map(({ id }) => id));
    const undo = () => {
      putBack();
      this.removed = undefined;
      this.changed();
    };
    this.removed = { what, photos, undo };
    this.changed();
  }

  #forgetRemoved(): void {
    this.removed?.photos.forEach((photo) => {
      photo.delete();
    });
    this.removed = undefined;
  }

  /** Removes all photos, and the classes beyond the first two. */
  clear(): void {
    for (const entry of [...this.classes]) {
      this.remove(entry);
    }
    this.#forgetRemoved();
    void this.storage.clearPhotos();
    this.useOutputs({ classNames: this.#names, spareClasses: this.#spare }, this.#own, this.#model);
  }

  #store(entry: PhotoClass, photos: readonly PagePhoto[]): Promise<void> {
    const className = entry.name;
    return this.storage.putPhotos(photos.map(({ id, file, digest }) => ({ id, className, file, digest })));
  }

  /** All photos of all classes. */
  get count(): number {
    return this.classes.reduce((sum, { photos }) => sum + photos.length, 0);
  }

  /** A requirement that is missing for a training, or nothing. */
  missing(): string {
    const used = this.classes.filter((entry) => readable(entry).length > 0);
    const short = used.filter((entry) => readable(entry).length < FEWEST_PHOTOS).map(({ name }) => name);
    if (used.length < FEWEST_CLASSES) {
      return `Too few photos: training needs at least ${FEWEST_PHOTOS} photos in each of ${FEWEST_CLASSES} classes.`;
    }
    return short.length > 0 ? `Too few photos: add at least one more to ${short.join(", ")}.` : "";
  }

  /**
   * Finds out which photos can be read, and their digests, where that is not known yet: of photos that an earlier
   * version of the page has stored.
   */
  async prepare(size: Size, signal: AbortSignal): Promise<void> {
    for (const entry of this.classes) {
      const unknown = entry.photos.filter(({ digest }) => digest === undefined);
      for (const photo of unknown) {
        signal.throwIfAborted();
        await photo.prepare(size);
      }
      const known = unknown.filter(({ digest }) => digest !== undefined);
      if (known.length > 0) {
        await this.#store(entry, known);
      }
    }
    this.changed();
  }

  /** Names of the photos that cannot be read, with their classes. */
  get unreadable(): string[] {
    return this.classes.flatMap((entry) =>
      entry.photos.filter(({ problem }) => problem !== "").map((photo) => `${photo.name} (${entry.name})`),
    );
  }

  /** Examples for the trainer: the readable photos, after `prepare`. */
  labeledPhotos(size: Size): LabeledPhoto[] {
    return this.classes.flatMap((entry) =>
      readable(entry).map((photo) => ({
        id: photo.digest!,
        label: entry.output,
        read: () => photo.read(size),
      })),
    );
  }

  #outputCalled(name: string): number {
    return indexOfName(this.#names, name);
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

  /** Returns the name in the form in which it is kept. */
  #checkName(name: string, entry: PhotoClass): string {
    // A name of the model stays as it was read, byte for byte.
    const kept = this.#names.includes(name) ? name : enteredName(name);
    const others = this.classes.filter((other) => other !== entry).map((other) => other.name);
    if (indexOfName(others, kept) >= 0) {
      throw new InputError(`expected a name of its own for each class, got "${kept}" twice; choose another`);
    }
    return kept;
  }

  #keep(): void {
    // An added output has the user's name.
    this.#names = this.#names.map(
      (name, output) =>
        (output < this.#own ? undefined : this.classes.find((entry) => entry.output === output)?.name) ??
        name,
    );
    void this.storage.set("classesOf", this.#model);
    void this.storage.set(
      "classes",
      this.classes.map(({ output, name }) => ({ output, name })),
    );
    this.changed();
  }
}

function readable({ photos }: PhotoClass): PagePhoto[] {
  return photos.filter(({ problem }) => problem === "");
}
