import type { Camera } from "./camera.js";
import { ClassCard } from "./class-card.js";
import type { ClassList, PhotoClass } from "./class-list.js";
import { byId, namesInWords, onFiles, photosInWords } from "./dom.js";
import { placed, sortFiles } from "./dropped-files.js";
import { attempt, say } from "./messages.js";
import { openPhotos } from "./page-photo.js";
import type { Session } from "./session.js";

const TELL_EVERY = 20; // photos that are read

/** Step 1: classes with their photos. */
export class PhotosPanel {
  readonly #list = byId("classes");
  readonly #toggle = byId("camera-toggle");
  readonly #undo = byId<HTMLButtonElement>("undo-remove");
  #cards: ClassCard[] = [];

  constructor(
    private readonly classes: ClassList,
    private readonly camera: Camera,
    private readonly session: Session,
  ) {
    byId("add-class").addEventListener("click", () => {
      attempt(() => {
        classes.add();
        this.#cards.at(-1)?.select();
      });
    });
    this.#toggle.addEventListener("click", () => {
      attempt(() => (camera.running ? this.stopCamera() : this.startCamera()));
    });
    byId("camera-turn").addEventListener("click", () => {
      attempt(() => camera.turn());
    });
    onFiles(byId<HTMLInputElement>("folder-files"), (files) => {
      attempt(() => this.addFolders(sortFiles(placed(files)).folders));
    });
    this.#undo.addEventListener("click", () => {
      attempt(async () => {
        const { removed } = classes;
        if (removed) {
          removed.undo();
          await classes.stored();
          say(`Brought back ${removed.what}.`);
        }
      });
    });
  }

  async startCamera(): Promise<void> {
    try {
      await this.camera.start();
      say("The camera is on.");
      byId("camera-turn").hidden = (await this.camera.count()) < 2;
    } finally {
      this.show();
    }
  }

  stopCamera(): void {
    this.camera.stop();
    byId("camera-turn").hidden = true;
    say("The camera is off.");
    this.show();
  }

  /** The class on whose card something is dropped, or nothing. */
  classAt(target: EventTarget | null): PhotoClass | undefined {
    return this.#cards.find(({ element }) => target instanceof Node && element.contains(target))?.entry;
  }

  /** Adds all photos of folders to one class. */
  async addTo(entry: PhotoClass, folders: ReadonlyMap<string, readonly File[]>): Promise<void> {
    const added = await this.#addFiles(entry, [...folders.values()].flat());
    await this.classes.stored();
    say(added);
  }

  /** Adds folders of photos; single photos need a class to go to. */
  async addFolders(folders: Map<string, File[]>): Promise<void> {
    const single = folders.get("");
    folders.delete("");
    const entries = this.classes.classesOf([...folders.keys()]);
    const [added, skipped]: [string[], string[]] = [[], []];
    let count = 0;
    for (const [index, [folder, files]] of [...folders].entries()) {
      const opened = await this.#open(files);
      this.classes.addPhotos(entries[index]!, opened.photos);
      count += opened.photos.length;
      added.push(`${folder}: ${opened.photos.length}`);
      skipped.push(...opened.skipped);
    }
    const words = [
      ...(added.length > 0 ? [`Added ${photosInWords(count)} (${added.join(", ")}).`] : []),
      ...leftOut(skipped),
      ...(single
        ? [`${single.length} photos are in no folder: drop them on their class, or use its “Add photos…”.`]
        : []),
    ];
    if (words.length > 0) {
      await this.classes.stored();
      say(words.join(" "));
    }
  }

  /** Adds files to a class; returns the message. */
  async #addFiles(entry: PhotoClass, files: readonly Blob[]): Promise<string> {
    const { photos, skipped } = await this.#open(files);
    this.classes.addPhotos(entry, photos);
    return [`Added ${photosInWords(photos.length)} to ${entry.name}.`, ...leftOut(skipped)].join(" ");
  }

  #open(files: readonly Blob[]): ReturnType<typeof openPhotos> {
    return openPhotos(files, this.session.model.imageSize, (index) => {
      if (index % TELL_EVERY === TELL_EVERY - 1) {
        say(`Reading photo ${index + 1} of ${files.length}…`);
      }
    });
  }

  /** Renames an added class in the model as on the page. */
  async #renamed(): Promise<void> {
    const { addedNames } = this.classes;
    if (addedNames.length > 0) {
      await this.session.nameAdded(addedNames);
      await this.session.keepLearned();
    }
  }

  /** Shows all as it is now. */
  show(): void {
    const { locked } = this.session;
    this.#cards = this.classes.classes.map(
      (entry) =>
        this.#cards.find((card) => card.entry === entry) ??
        new ClassCard(
          entry,
          this.classes,
          this.camera,
          () => this.#renamed(),
          (to, files) => this.#addFiles(to, files),
        ),
    );
    const elements = this.#cards.map(({ element }) => element);
    if (
      elements.length !== this.#list.children.length ||
      elements.some((e, i) => e !== this.#list.children[i])
    ) {
      this.#list.replaceChildren(...elements);
    }
    this.#cards.forEach((card, index) => {
      card.update(index, locked);
    });
    byId<HTMLButtonElement>("add-class").disabled = !this.classes.hasRoom || locked;
    byId<HTMLInputElement>("folder-files").disabled = locked;
    const { removed } = this.classes;
    this.#undo.hidden = !removed;
    this.#undo.disabled = locked;
    this.#undo.textContent = `Undo: bring back ${removed?.what ?? ""}`;
    const { running } = this.camera;
    this.#toggle.textContent = running ? "Stop camera" : "Start camera";
    this.#toggle.classList.toggle("primary", !running);
    byId("camera-box").dataset.state = running ? "on" : "off";
  }
}

function leftOut(names: readonly string[]): string[] {
  return names.length > 0
    ? [`Left out ${names.length}, which this browser cannot read: ${namesInWords(names)}.`]
    : [];
}
