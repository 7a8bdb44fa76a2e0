import type { Camera } from "./camera.js";
import { ClassCard } from "./class-card.js";
import type { ClassList } from "./class-list.js";
import { byId, onFiles } from "./dom.js";
import { placed, sortFiles } from "./dropped-files.js";
import { attempt, say } from "./messages.js";
import type { Session } from "./session.js";

/** Step 2: classes with their photos. */
export class PhotosPanel {
  readonly #list = byId("classes");
  readonly #toggle = byId("camera-toggle");
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
  }

  async startCamera(): Promise<void> {
    byId("camera-box").hidden = false;
    try {
      await this.camera.start();
      say("The camera is on.");
      byId("camera-turn").hidden = (await this.camera.count()) < 2;
    } finally {
      byId("camera-box").hidden = !this.camera.running;
      this.show();
    }
  }

  stopCamera(): void {
    this.camera.stop();
    byId("camera-box").hidden = true;
    byId("camera-turn").hidden = true;
    say("The camera is off.");
    this.show();
  }

  /** Adds folders of photos; single photos need a class to go to. */
  addFolders(folders: Map<string, File[]>): void {
    const single = folders.get("");
    folders.delete("");
    const count = this.classes.addFolders(folders);
    if (count > 0) {
      const names = [...folders].map(([name, files]) => `${name}: ${files.length}`).join(", ");
      say(`Added ${count} photos (${names}).`);
    }
    if (single) {
      say(`${single.length} photos lie in no folder: use “Add photos…” of the class that they belong to.`);
    }
  }

  /** A class that was added to the model is called in it what it is called here. */
  async #renamed(): Promise<void> {
    const { addedNames } = this.classes;
    if (addedNames.length > 0) {
      await this.session.nameAdded(addedNames);
      await this.session.keepLearned();
    }
  }

  /** Shows all as it is now. */
  show(): void {
    const { training } = this.session;
    this.#cards = this.classes.classes.map(
      (entry) =>
        this.#cards.find((card) => card.entry === entry) ??
        new ClassCard(entry, this.classes, this.camera, () => this.#renamed()),
    );
    const elements = this.#cards.map(({ element }) => element);
    if (
      elements.length !== this.#list.children.length ||
      elements.some((e, i) => e !== this.#list.children[i])
    ) {
      this.#list.replaceChildren(...elements);
    }
    this.#cards.forEach((card, index) => {
      card.update(index, training);
    });
    byId<HTMLButtonElement>("add-class").disabled = !this.classes.hasRoom || training;
    byId<HTMLInputElement>("folder-files").disabled = training;
    const { running } = this.camera;
    this.#toggle.textContent = running ? "Stop camera" : "Start camera";
    this.#toggle.classList.toggle("on", running);
  }
}
