import type { Camera } from "./camera.js";
import type { ClassList, PhotoClass } from "./class-list.js";
import { byId, colorOf, create, namesInWords, onFiles, photosInWords } from "./dom.js";
import { placed, sortFiles } from "./dropped-files.js";
import { attempt, say } from "./messages.js";
import type { PagePhoto } from "./page-photo.js";

const SHOWN = 12; // thumbnails of a class, until all are asked for
const BURST = 250; // milliseconds between photos while the button is held
const FEWEST = 2; // classes

let counter = 0;

/** The card of one class: its name, its photos, and the ways to get more. Changes in place, so that focus stays. */
export class ClassCard {
  readonly element: HTMLElement;
  readonly #name: HTMLInputElement;
  readonly #take: HTMLButtonElement;
  readonly #add: HTMLInputElement;
  readonly #remove: HTMLButtonElement;
  readonly #more: HTMLButtonElement;
  readonly #thumbnails = new Map<PagePhoto, HTMLElement>();
  #showsAll = false;
  #locked = false;

  constructor(
    readonly entry: PhotoClass,
    private readonly classes: ClassList,
    private readonly camera: Camera,
    private readonly renamed: () => Promise<void>,
    private readonly addFiles: (entry: PhotoClass, files: readonly Blob[]) => Promise<string>,
  ) {
    const template = byId<HTMLTemplateElement>("class-template").content.firstElementChild;
    this.element = template?.cloneNode(true) as HTMLElement;
    this.#name = this.#find(".class-name");
    this.#take = this.#find(".take");
    this.#add = this.#find(".add");
    this.#remove = this.#find(".remove-class");
    this.#more = this.#find(".more");
    this.#name.id = `class-${++counter}`;
    this.#add.id = `add-${counter}`;
    this.#find<HTMLLabelElement>(".class-label").htmlFor = this.#name.id;
    this.#find(".class-note").id = `note-${counter}`;
    this.#name.setAttribute("aria-describedby", `note-${counter}`);
    this.#find<HTMLLabelElement>(".add-label").htmlFor = this.#add.id;
    this.#listen();
  }

  /** Puts the focus into the name. */
  select(): void {
    this.#name.select();
  }

  /** Shows the class as it is now. */
  update(position: number, locked: boolean): void {
    const { name, photos } = this.entry;
    if (this.#name !== document.activeElement) {
      this.#name.value = name;
    }
    this.element.dataset.color = colorOf(position);
    this.#find(".class-label").textContent = `Name of class ${position + 1}`;
    this.#find(".take-class").textContent = ` ${name}`;
    this.#find(".add-class").textContent = ` to ${name}`;
    this.#remove.setAttribute("aria-label", `Remove class ${name}`);
    this.#find(".class-note").textContent = this.classes.note(this.entry);
    this.#find(".count").textContent = photosInWords(photos.length);
    const unreadable = photos.filter(({ problem }) => problem !== "").map((photo) => photo.name);
    this.#find(".unreadable").textContent =
      unreadable.length > 0
        ? `Left out, since this browser cannot read it: ${namesInWords(unreadable)}. Remove it here.`
        : "";
    this.#take.disabled = !this.camera.running || locked;
    this.#remove.disabled = locked || this.classes.classes.length <= FEWEST;
    this.#add.disabled = this.#name.disabled = locked;
    this.#locked = locked;
    this.#showThumbnails();
  }

  #find<T extends HTMLElement = HTMLElement>(selector: string): T {
    return this.element.querySelector(selector) as unknown as T;
  }

  #listen(): void {
    this.#name.addEventListener("change", () => {
      attempt(async () => {
        try {
          this.classes.rename(this.entry, this.#name.value);
        } finally {
          this.#name.value = this.entry.name;
        }
        await this.renamed();
      });
    });
    onFiles(this.#add, (files) => {
      attempt(async () => {
        const photos = [...sortFiles(placed(files)).folders.values()].flat();
        const added = await this.addFiles(this.entry, photos);
        await this.classes.stored();
        say(added);
      });
    });
    this.#remove.addEventListener("click", () => {
      attempt(async () => {
        this.classes.remove(this.entry);
        await this.classes.stored();
        say(`Removed the class ${this.entry.name}. “Undo” below the classes brings it back.`);
      });
    });
    this.#more.addEventListener("click", () => {
      this.#showsAll = !this.#showsAll;
      this.#showThumbnails();
    });
    this.#takeWhileHeld();
  }

  /** One photo for a press, more while it is held. */
  #takeWhileHeld(): void {
    let timer: ReturnType<typeof setInterval> | undefined;
    let held = false;
    const take = () => {
      attempt(async () => {
        await this.addFiles(this.entry, [await this.camera.take()]);
        await this.classes.stored();
        say(`${this.entry.name}: ${photosInWords(this.entry.photos.length)}.`);
      });
    };
    const release = () => {
      clearInterval(timer);
      this.#take.classList.remove("recording");
    };
    this.#take.addEventListener("pointerdown", () => {
      held = false;
      this.#take.classList.add("recording");
      timer = setInterval(() => {
        held = true;
        take();
      }, BURST);
    });
    for (const event of ["pointerup", "pointercancel", "pointerleave"]) {
      this.#take.addEventListener(event, release);
    }
    this.#take.addEventListener("click", () => {
      if (!held) {
        take();
      }
      held = false;
    });
  }

  /** The newest photos and those that cannot be read, or all; existing elements are kept. */
  #showThumbnails(): void {
    const { photos } = this.entry;
    const oldest = photos.length - SHOWN;
    const shown = photos.filter((photo, index) => this.#showsAll || index >= oldest || photo.problem !== "");
    for (const [photo, element] of this.#thumbnails) {
      if (!shown.includes(photo)) {
        if (element.contains(document.activeElement)) {
          (
            (element.nextElementSibling ?? element.previousElementSibling)?.querySelector("button") ??
            this.#add
          ).focus();
        }
        element.remove();
        this.#thumbnails.delete(photo);
      }
    }
    const list = this.#find(".thumbnails");
    shown.forEach((photo, index) => {
      const element = this.#thumbnails.get(photo) ?? this.#thumbnail(photo);
      if (list.children[index] !== element) {
        list.insertBefore(element, list.children[index] ?? null);
      }
      this.#thumbnails.set(photo, element);
      const unreadable = photo.problem === "" ? "" : ` ${photo.name}, which cannot be read`;
      element.querySelector("img")!.alt = `Remove photo ${index + 1} of ${this.entry.name}${unreadable}`;
      element.querySelector("button")!.disabled = this.#locked;
      element.classList.toggle("broken", photo.problem !== "");
    });
    this.#more.hidden = oldest <= 0;
    const all = this.#more.hidden ? "" : `Show all ${photos.length} photos`;
    this.#more.textContent = this.#showsAll ? "Show fewer" : all;
  }

  #thumbnail(photo: PagePhoto): HTMLElement {
    const picture = create("img", { loading: "lazy", decoding: "async", src: photo.url });
    const button = create("button", { type: "button", title: "Remove this photo" }, picture);
    button.addEventListener("click", () => {
      attempt(async () => {
        this.classes.removePhoto(this.entry, photo);
        await this.classes.stored();
        say(`Removed a photo of ${this.entry.name}. “Undo” below the classes brings it back.`);
      });
    });
    return create("li", {}, button);
  }
}
