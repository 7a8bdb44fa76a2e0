import type { Camera } from "./camera.js";
import type { ClassList, PhotoClass } from "./class-list.js";
import { byId, create, onFiles } from "./dom.js";
import { placed, sortFiles } from "./dropped-files.js";
import { attempt, say } from "./messages.js";
import type { Session } from "./session.js";

const SHOWN = 12; // thumbnails of a class
const BURST = 250; // milliseconds between photos while the button is held

/** Step 2: classes with their photos. */
export class PhotosPanel {
  readonly #list = byId("classes");
  readonly #toggle = byId("camera-toggle");

  constructor(
    private readonly classes: ClassList,
    private readonly camera: Camera,
    private readonly session: Session,
  ) {
    byId("add-class").addEventListener("click", () => {
      attempt(() => {
        classes.add();
        this.#list.querySelector<HTMLInputElement>("li:last-child .class-name")?.select();
      });
    });
    this.#toggle.addEventListener("click", () => {
      attempt(() => (camera.running ? this.stopCamera() : this.startCamera()));
    });
    byId("camera-turn").addEventListener("click", () => {
      attempt(() => camera.turn());
    });
    onFiles(byId<HTMLInputElement>("folder-files"), (files) => {
      attempt(() => {
        this.addFolders(sortFiles(placed(files)).folders);
      });
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

  /** Draws all of it. */
  show(): void {
    const focused = focusedPath(this.#list);
    this.#list.replaceChildren(...this.classes.classes.map((entry, index) => this.#card(entry, index)));
    focused?.();
    byId<HTMLButtonElement>("add-class").disabled = !this.classes.hasRoom || this.session.training;
    const running = this.camera.running;
    this.#toggle.textContent = running ? "Stop camera" : "Start camera";
    this.#toggle.setAttribute("aria-pressed", String(running));
  }

  #card(entry: PhotoClass, index: number): HTMLElement {
    const card = byId<HTMLTemplateElement>("class-template").content.cloneNode(true) as DocumentFragment;
    const find = <T extends HTMLElement>(selector: string) => card.querySelector(selector) as unknown as T;
    const name = find<HTMLInputElement>(".class-name");
    const add = find<HTMLInputElement>(".add");
    const take = find<HTMLButtonElement>(".take");
    const remove = find<HTMLButtonElement>(".remove-class");
    name.id = `class-${index}`;
    name.value = entry.name;
    add.id = `add-${index}`;
    find<HTMLLabelElement>(".class-label").htmlFor = name.id;
    find(".class-label").textContent = `Name of class ${index + 1}`;
    find<HTMLLabelElement>(".add-label").htmlFor = add.id;
    find(".add-label").append(
      create("span", { className: "visually-hidden", textContent: ` to ${entry.name}` }),
    );
    take.append(create("span", { className: "visually-hidden", textContent: ` of ${entry.name}` }));
    take.disabled = !this.camera.running || this.session.training;
    add.disabled = this.session.training;
    name.disabled = this.session.training;
    remove.disabled = this.session.training || this.classes.classes.length <= 2;
    remove.setAttribute("aria-label", `Remove class ${entry.name}`);
    const count = entry.photos.length;
    find(".count").textContent = `${count} ${count === 1 ? "photo" : "photos"}`;
    find(".thumbnails").append(...this.#thumbnails(entry));
    name.addEventListener("change", () => {
      attempt(() => {
        try {
          this.classes.rename(entry, name.value);
        } finally {
          this.show();
        }
      });
    });
    onFiles(add, (files) => {
      attempt(() => {
        const photos = [...sortFiles(placed(files)).folders.values()].flat();
        this.classes.addPhotos(entry, photos);
        say(`Added ${photos.length} photos to ${entry.name}.`);
      });
    });
    this.#takeWhileHeld(take, entry);
    remove.addEventListener("click", () => {
      this.classes.remove(entry);
      say(`Removed the class ${entry.name}.`);
    });
    return card.firstElementChild as HTMLElement;
  }

  #thumbnails(entry: PhotoClass): HTMLElement[] {
    const shown = entry.photos.slice(-SHOWN).map((photo, index) => {
      const button = create(
        "button",
        { type: "button", title: "Remove this photo", disabled: this.session.training },
        create("img", { src: photo.url, alt: `Remove photo ${index + 1} of ${entry.name}` }),
      );
      button.addEventListener("click", () => {
        this.classes.removePhoto(entry, photo);
        say(`Removed a photo of ${entry.name}.`);
      });
      return create("li", {}, button);
    });
    const more = entry.photos.length - shown.length;
    return more > 0
      ? [...shown, create("li", { className: "hint", textContent: `and ${more} more` })]
      : shown;
  }

  /** One photo for a press, more while it is held. */
  #takeWhileHeld(button: HTMLButtonElement, entry: PhotoClass): void {
    let timer: ReturnType<typeof setInterval> | undefined;
    let burst = false;
    const take = async () => {
      this.classes.addPhotos(entry, [await this.camera.take()]);
      const count = entry.photos.length;
      say(`${entry.name}: ${count} ${count === 1 ? "photo" : "photos"}.`);
    };
    const release = () => {
      clearInterval(timer);
      if (burst) {
        this.show();
      }
    };
    button.addEventListener("pointerdown", () => {
      burst = false;
      // The button is drawn anew with each photo, so that its release is heard on the whole page.
      window.addEventListener("pointerup", release, { once: true });
      window.addEventListener("pointercancel", release, { once: true });
      timer = setInterval(() => {
        burst = true;
        attempt(take);
      }, BURST);
    });
    button.addEventListener("click", () => {
      if (!burst) {
        attempt(take);
      }
      burst = false;
    });
  }
}

/** Returns what brings the focus back to the same control after a list was drawn anew. */
function focusedPath(list: HTMLElement): (() => void) | undefined {
  const focused = document.activeElement;
  const card = focused?.closest("li.class");
  if (!focused || !card || !list.contains(card)) {
    return undefined;
  }
  const cardIndex = [...list.children].indexOf(card);
  const controls = "button, input";
  const index = [...card.querySelectorAll(controls)].indexOf(focused);
  const selector = focused.className ? `.${[...focused.classList].join(".")}` : "";
  return () => {
    const next = list.children[Math.min(cardIndex, list.children.length - 1)];
    const same = selector ? next?.querySelector<HTMLElement>(selector) : undefined;
    (same ?? next?.querySelectorAll<HTMLElement>(controls)[index])?.focus();
  };
}
