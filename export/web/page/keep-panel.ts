import type { ClassList } from "./class-list.js";
import { byId, create, megabytes, onFiles, photosInWords } from "./dom.js";
import { attempt, say } from "./messages.js";
import type { ModelPanel } from "./model-panel.js";
import { packProject, readProject } from "./project.js";
import type { Session } from "./session.js";

const SURE = 5000; // milliseconds in which a second press means yes

/** What Undo brings back. */
interface Former {
  readonly state: Uint8Array<ArrayBuffer>;
  readonly outputs: ClassList["outputs"];
}

/** Below step 3: the state and the project as files, and the way back. */
export class KeepPanel {
  readonly #undo = byId<HTMLButtonElement>("undo");
  #former: Former | undefined;

  constructor(
    private readonly session: Session,
    private readonly classes: ClassList,
    private readonly model: ModelPanel,
  ) {
    byId("save-project").addEventListener("click", () => {
      attempt(() => this.#saveProject());
    });
    onFiles(byId<HTMLInputElement>("open-project"), ([file]) => {
      attempt(() => this.openProject(file!));
    });
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
          await this.#change(() => session.model.restore(former.state), former.outputs);
          say("What the model had learned is back.");
        }
        this.#forgetFormer();
        byId("reset").focus();
      });
    });
    this.#askTwice(byId<HTMLButtonElement>("forget"));
    session.onChange(() => {
      for (const id of ["load", "open-project", "reset", "forget", "undo"]) {
        byId<HTMLButtonElement>(id).disabled = session.locked;
      }
      for (const id of ["save", "save-project"]) {
        byId<HTMLButtonElement>(id).disabled = session.training;
      }
      byId("learned").hidden = !session.hasLearned;
      if (session.training) {
        this.#forgetFormer();
      }
    });
  }

  /** Shows by which names a state file counts, and commands for it. */
  show(): void {
    byId("names-in-file").textContent = this.classes.namesInFile.join(", ");
    const { name } = this.session;
    const files = `--model=${name}.tflite --state=${name}.tinytl`;
    byId("state-commands").textContent =
      `tinytl infer ${files} photo.jpg\ntinytl evaluate ${files} --data=photos/`;
  }

  /** Loads a state file. */
  async load(file: File): Promise<void> {
    await this.#change(() => this.session.model.restore(file));
    say(`Loaded ${file.name}. Undo brings back what was there before.`);
  }

  async #save(): Promise<void> {
    const { model } = this.session;
    const file = await this.session.exclusively(() => model.saveBlob());
    const name = `${this.session.name}.tinytl`;
    saveAs(file, name);
    say(`Saved ${name}, ${(file.size / 1000).toFixed(0)} kB.`);
  }

  async #saveProject(): Promise<void> {
    const { model, files } = this.session;
    const state = await this.session.exclusively(() => model.save());
    const { classes, trained } = this.classes;
    const file = await packProject({ files, state, classes, trained });
    const name = `${this.session.name}.zip`;
    saveAs(file, name);
    say(
      `Saved ${name}, ${megabytes(file.size)}: the model, its state and ${photosInWords(this.classes.count)}.`,
    );
  }

  /** Opens a project in place of the model, the photos and what was learned. */
  async openProject(file: File): Promise<void> {
    const project = await readProject(file);
    const { count } = this.classes;
    const lost = [
      ...(count > 0 ? [photosInWords(count)] : []),
      ...(this.session.hasLearned ? ["what the model has learned"] : []),
    ];
    if (lost.length > 0 && !confirm(`Open ${file.name}? It replaces ${lost.join(" and ")} here.`)) {
      return;
    }
    await this.model.openProject(project);
    this.#forgetFormer();
    await this.classes.stored();
    say(`Opened ${file.name}: the model ${this.session.name} and ${photosInWords(this.classes.count)}.`);
  }

  /** Changes the state, in which classes were trained on `outputs` if that is known. */
  async #change(work: () => Promise<void>, outputs: Former["outputs"] = new Map()): Promise<void> {
    await this.session.exclusively(async () => {
      const { model } = this.session;
      const former = { state: await model.save(), outputs: this.classes.outputs };
      await work();
      try {
        this.classes.useOutputs(model, model.manifest.labels.length, model.manifest.sha256, outputs);
      } catch (error) {
        await model.restore(former.state);
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
        attempt(async () => {
          this.classes.clear();
          await this.classes.stored();
          say("All photos are deleted from this browser.");
        });
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

function saveAs(file: Blob, name: string): void {
  const url = URL.createObjectURL(file);
  create("a", { href: url, download: name }).click();
  setTimeout(() => {
    URL.revokeObjectURL(url);
  }, 60_000);
}
