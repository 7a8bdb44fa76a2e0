import type { Camera } from "./camera.js";
import type { ClassList, PhotoClass } from "./class-list.js";
import { byId, create, onFiles } from "./dom.js";
import { placed, sortFiles } from "./dropped-files.js";
import { attempt, say } from "./messages.js";
import type { PagePhoto } from "./page-photo.js";

const SHOWN = 12; // thumbnails of a class
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
  readonly #thumbnails = new Map<PagePhoto, HTMLElement>();

  constructor(
    readonly entry: PhotoClass,
    private readonly classes: ClassList,
    private readonly camera: Camera,
    private readonly renamed: () => Promise<void>,
  ) {
    const template = byId<HTMLTemplateElement>("class-template").content.firstElementChild;
    this.element = template?.cloneNode(true) as HTMLElement;
    this.#name = this.#find(".class-name");
    this.#take = this.#find(".take");
    this.#add = this.#find(".add");
    this.#remove = this.#find(".remove-class");
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
  update(position: number, training: boolean): void {
    const { name, photos } = this.entry;
    if (this.#name !== document.activeElement) {
      this.#name.value = name;
    }
    this.#find(".class-label").textContent = `Name of class ${position + 1}`;
    this.#find(".take-class").textContent = ` of ${name}`;
    this.#find(".add-class").textContent = ` to ${name}`;
    this.#remove.setAttribute("aria-label", `Remove class ${name}`);
    this.#find(".class-note").textContent = this.classes.note(this.entry);
    this.#find(".count").textContent = photosInWords(photos.length);
    this.#take.disabled = !this.camera.running || training;
    this.#remove.disabled = training || this.classes.classes.length <= FEWEST;
    this.#add.disabled = this.#name.disabled = training;
    this.#showThumbnails(training);
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
      attempt(() => {
        const photos = [...sortFiles(placed(files)).folders.values()].flat();
        this.classes.addPhotos(this.entry, photos);
        say(`Added ${photosInWords(photos.length)} to ${this.entry.name}.`);
      });
    });
    this.#remove.addEventListener("click", () => {
      this.classes.remove(this.entry);
      say(`Removed the class ${this.entry.name}.`);
    });
    this.#takeWhileHeld();
  }

  /** One photo for a press, more while it is held. */
  #takeWhileHeld(): void {
    let timer: ReturnType<typeof setInterval> | undefined;
    let held = false;
    const take = () => {
      attempt(async () => {
        this.classes.addPhotos(this.entry, [await this.camera.take()]);
        say(`${this.entry.name}: ${photosInWords(this.entry.photos.length)}.`);
      });
    };
    const release = () => {
      clearInterval(timer);
    };
    this.#take.addEventListener("pointerdown", () => {
      held = false;
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

  /** The newest photos; those that are shown already stay where they are. */
  #showThumbnails(training: boolean): void {
    const shown = this.entry.photos.slice(-SHOWN);
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
    shown.forEach((photo, index) => {
      const element = this.#thumbnails.get(photo) ?? this.#thumbnail(photo);
      this.#find(".thumbnails").append(...(element.parentElement ? [] : [element]));
      this.#thumbnails.set(photo, element);
      element.querySelector("img")!.alt = `Remove photo ${index + 1} of ${this.entry.name}`;
      element.querySelector("button")!.disabled = training;
    });
    const more = this.entry.photos.length - shown.length;
    this.#find(".more").textContent = more > 0 ? `and ${more} more` : "";
  }

  #thumbnail(photo: PagePhoto): HTMLElement {
    const picture = create("img", { src: photo.url });
    const button = create("button", { type: "button", title: "Remove this photo" }, picture);
    button.addEventListener("click", () => {
      this.classes.removePhoto(this.entry, photo);
      say(`Removed a photo of ${this.entry.name}.`);
    });
    return create("li", {}, button);
  }
}

function photosInWords(count: number): string {
  return `${count} ${count === 1 ? "photo" : "photos"}`;
}
