import { InputError, parseManifest } from "../src/index.js";
import type { Manifest } from "../src/index.js";
import { checkNames } from "../src/names.js";
import type { ClassList } from "./class-list.js";
import { byId, create, megabytes, onFiles, showFacts } from "./dom.js";
import { attempt, say } from "./messages.js";
import { listModels, readListed, readOwn, requireClassesOfPhotos } from "./model-files.js";
import type { ListedModel, ModelFiles } from "./model-files.js";
import type { Project } from "./project.js";
import type { Session } from "./session.js";
import type { Storage } from "./storage.js";

const OWN = "own";

/** The menu of the model: which one, and facts about it. */
export class ModelPanel {
  readonly #select = byId<HTMLSelectElement>("model-select");
  #listed: ListedModel[] = [];
  #own: ModelFiles | undefined;
  #opened = "";

  constructor(
    private readonly session: Session,
    private readonly classes: ClassList,
    private readonly storage: Storage,
  ) {
    this.#select.addEventListener("change", () => {
      attempt(() => this.#choose(this.#select.value));
    });
    onFiles(byId<HTMLInputElement>("model-files"), (files) => {
      const named = (ending: string) => files.filter(({ name }) => name.endsWith(ending));
      attempt(() => this.openOwn(named(".tflite"), named(".json")));
    });
    session.onChange(() => {
      this.#select.disabled = session.locked;
      byId<HTMLInputElement>("model-files").disabled = session.locked;
    });
  }

  /** Opens the model of the last visit, or else the first of the list. */
  async begin(): Promise<void> {
    byId("model-panel").hidden = false;
    this.#listed = await listModels();
    const last = await this.storage.get("model");
    if (last?.files) {
      this.#own = { name: last.name, ...last.files };
    }
    const index = last?.files ? -1 : this.#listed.findIndex(({ name }) => name === last?.name);
    this.#fill();
    await this.#choose(last?.files ? OWN : String(Math.max(0, index)));
  }

  /** Opens files that a person has given. */
  async openOwn(models: readonly File[], manifests: readonly File[]): Promise<void> {
    const files = await readOwn(models, manifests);
    await this.#open(files);
    await this.#takeAsOwn(files);
  }

  async #choose(value: string): Promise<void> {
    this.#select.value = value;
    try {
      if (value === OWN && this.#own) {
        await this.#open(this.#own);
        await this.#remember(this.#own);
      } else {
        const listed = this.#listed[Number(value)]!;
        await this.#open(await readListed(listed));
        await this.storage.set("model", { name: listed.name });
      }
      this.#opened = value;
    } catch (error) {
      this.#select.value = this.#opened; // or none, so that each can be chosen again
      throw error;
    }
  }

  /** Opens a project: its model with its state, and its classes with their photos in place of those here. */
  async openProject({ files, state, classes, trained }: Project): Promise<void> {
    const manifest = parseManifest(files.manifest);
    requireClassesOfPhotos(manifest, files.name);
    const most = manifest.labels.length + manifest.spare_classes;
    if (classes.length > most) {
      throw new InputError(
        `expected a project of at most ${most} classes, the number of its model, got ${classes.length}; save it again`,
      );
    }
    checkNames(classes.map(({ name }) => name));
    say(`Loading the model ${files.name} and the runtime…`);
    await this.#orSilence(() => this.session.load(files, state));
    await this.session.keepLearned();
    this.classes.replace(classes, manifest.sha256);
    await this.classes.markTrained([...trained]);
    this.#show(files, manifest);
    await this.#takeAsOwn(files);
  }

  async #open(files: ModelFiles): Promise<void> {
    const manifest = parseManifest(files.manifest);
    requireClassesOfPhotos(manifest, files.name);
    const { labels, spare_classes: spareClasses } = manifest;
    this.classes.requireRoom({ classNames: labels, spareClasses });
    say(`Loading the model ${files.name} and the runtime…`);
    await this.#orSilence(() => this.session.load(files));
    this.#show(files, manifest);
    const learned = this.session.hasLearned ? " It has what it learned here before." : "";
    say(`The model ${files.name} is ready.${learned}`);
  }

  /** Carries out work; if it fails, nothing says any more that it runs. */
  async #orSilence(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      say("");
      throw error;
    }
  }

  #show(files: ModelFiles, manifest: Manifest): void {
    const { imageSize, batchSize } = this.session.model;
    const { labels, spare_classes: spareClasses } = manifest;
    showFacts(byId("model-facts"), [
      ["Network", manifest.backbone],
      ["Trained", manifest.scheme],
      ["Size", megabytes(files.model.size)],
      ["Input", `${imageSize[0]} × ${imageSize[1]} pixels`],
      ["Photos per step", String(batchSize)],
      ["Memory of a step, planned", megabytes(manifest.planned_peak_bytes.train ?? 0)],
      ["Classes", String(labels.length)],
      ...(spareClasses > 0 ? [["Room for new classes", String(spareClasses)] as const] : []),
    ]);
    byId("model-name").textContent = files.name;
    this.classes.useOutputs(this.session.model, labels.length, manifest.sha256);
  }

  async #takeAsOwn(files: ModelFiles): Promise<void> {
    this.#own = files;
    await this.#remember(files);
    this.#fill();
    this.#select.value = this.#opened = OWN;
  }

  #remember({ name, model, manifest }: ModelFiles): Promise<void> {
    return this.storage.set("model", { name, files: { model, manifest } });
  }

  #fill(): void {
    this.#select.replaceChildren(
      ...this.#listed.map(({ name }, index) => create("option", { value: String(index), textContent: name })),
      ...(this.#own ? [create("option", { value: OWN, textContent: `${this.#own.name} (your file)` })] : []),
    );
  }
}
