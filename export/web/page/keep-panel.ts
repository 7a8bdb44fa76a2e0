import type { ClassList } from "./class-list.js";
import { byId, create, onFiles } from "./dom.js";
import { attempt, say } from "./messages.js";
import type { Session } from "./session.js";

const SURE = 5000; // milliseconds in which a second press means yes

/** Step 5: the state as a file, and the way back. */
export class KeepPanel {
  readonly #undo = byId<HTMLButtonElement>("undo");
  #former: Uint8Array<ArrayBuffer> | undefined;

  constructor(
    private readonly session: Session,
    private readonly classes: ClassList,
  ) {
    byId("save").addEventListener("click", () => {
      attempt(() => this.#save());
    });
    onFiles(byId<HTMLInputElement>("load"), ([file]) => {
      attempt(() => this.load(file!));
    });
    byId("reset").addEventListener("click", () => {
      attempt(async () => {
        await this.#change(() => session.model.reset());
        say("The model is as it was exported. Undo brings back what it had learned.");
      });
    });
    this.#undo.addEventListener("click", () => {
      attempt(async () => {
        const former = this.#former;
        if (former) {
          await this.#change(() => session.model.restore(former));
          say("What the model had learned is back.");
        }
        this.#forgetFormer();
        byId("reset").focus();
      });
    });
    this.#askTwice(byId<HTMLButtonElement>("forget"));
    session.onChange(() => {
      for (const id of ["load", "reset", "forget", "undo"]) {
        byId<HTMLButtonElement>(id).disabled = session.locked;
      }
      byId<HTMLButtonElement>("save").disabled = session.training;
      if (session.training) {
        this.#forgetFormer();
      }
    });
  }

  /** Shows by which names a state file counts. */
  show(): void {
    byId("names-in-file").textContent = this.classes.namesInFile.join(", ");
  }

  /** Loads a state file. */
  async load(file: File): Promise<void> {
    await this.#change(() => this.session.model.restore(file));
    say(`Loaded ${file.name}. Undo brings back what was there before.`);
  }

  async #save(): Promise<void> {
    const { model } = this.session;
    const file = await this.session.exclusively(() => model.saveBlob());
    const url = URL.createObjectURL(file);
    const link = create("a", { href: url, download: `${this.session.name}.tinytl` });
    link.click();
    setTimeout(() => {
      URL.revokeObjectURL(url);
    }, 60_000);
    say(`Saved ${link.download}, ${(file.size / 1000).toFixed(0)} kB.`);
  }

  async #change(work: () => Promise<void>): Promise<void> {
    await this.session.exclusively(async () => {
      const { model } = this.session;
      const former = await model.save();
      await work();
      try {
        this.classes.useOutputs(model, model.manifest.labels.length);
      } catch (error) {
        await model.restore(former);
        throw error;
      }
      this.#former = former;
    });
    this.#undo.hidden = false;
    await this.session.keepLearned();
    this.session.changed();
  }

  #forgetFormer(): void {
    this.#former = undefined;
    this.#undo.hidden = true;
  }

  #askTwice(button: HTMLButtonElement): void {
    const asked = button.textContent;
    let timer: ReturnType<typeof setTimeout> | undefined;
    button.addEventListener("click", () => {
      clearTimeout(timer);
      if (button.dataset.sure) {
        delete button.dataset.sure;
        button.textContent = asked;
        this.classes.clear();
        say("All photos are deleted from this browser.");
        return;
      }
      button.dataset.sure = "yes";
      button.textContent = `Press again to delete ${this.classes.count} photos`;
      timer = setTimeout(() => {
        delete button.dataset.sure;
        button.textContent = asked;
      }, SURE);
    });
  }
}
