import { modelInput, photoFrom, photoFromFile } from "../src/index.js";
import type { Photo } from "../src/index.js";
import type { Camera } from "./camera.js";
import { NEW } from "./class-list.js";
import type { ClassList } from "./class-list.js";
import { bar, barItem, byId, colorOf, onFiles, percent } from "./dom.js";
import { attempt, complain, say } from "./messages.js";
import type { PhotosPanel } from "./photos-panel.js";
import type { Session } from "./session.js";

const PATIENCE = 1500; // milliseconds between two things that are read out
const WHILE_TRAINING = 250; // milliseconds between two predictions, which wait for a step each

interface Row {
  readonly name: string;
  readonly probability: number;
  readonly color?: string;
}

/** Step 3: predictions for the camera's picture or a photo. */
export class TryPanel {
  readonly #button = byId("try-camera");
  readonly #before = byId<HTMLInputElement>("try-before");
  #watching = false;
  #told = { name: "", time: 0 };
  #photo: Photo | undefined;
  #followed = 0;

  constructor(
    private readonly session: Session,
    private readonly classes: ClassList,
    private readonly camera: Camera,
    private readonly photos: PhotosPanel,
  ) {
    this.#button.addEventListener("click", () => {
      attempt(() => (this.#watching ? this.#stop() : this.#watch()));
    });
    this.#before.addEventListener("change", () => {
      this.refresh();
    });
    onFiles(byId<HTMLInputElement>("try-file"), ([file]) => {
      attempt(async () => {
        this.#stop();
        this.#photo = await photoFromFile(file!, session.model.imageSize);
        const { name, probability } = await this.#predict(this.#photo);
        say(`${name}: ${percent(probability)}.`);
      });
    });
    session.onChange(() => {
      this.refresh();
      if (session.training && camera.running && !this.#watching) {
        attempt(() => this.#watch()); // so that one sees the answers change
      }
    });
  }

  /** Updates the prediction for the shown photo while the model trains. */
  follow(): void {
    const now = performance.now();
    if (this.#photo && !this.#watching && now - this.#followed > WHILE_TRAINING) {
      this.#followed = now;
      void this.#predict(this.#photo).catch(complain);
    }
  }

  /** Updates the prediction for the shown photo. */
  refresh(): void {
    const photo = this.#photo;
    if (photo && !this.#watching && this.session.open && !this.session.training) {
      attempt(async () => {
        await this.#predict(photo);
      });
    }
  }

  async #watch(): Promise<void> {
    if (!this.camera.running) {
      await this.photos.startCamera();
    }
    this.#watching = true;
    this.#told = { name: "", time: 0 };
    this.#show();
    void this.#loop().catch((error: unknown) => {
      this.#stop();
      complain(error);
    });
  }

  #stop(): void {
    this.#watching = false;
    this.#show();
  }

  #show(): void {
    this.#button.textContent = this.#watching ? "Stop watching" : "Watch the camera";
    this.#button.classList.toggle("on", this.#watching);
  }

  async #loop(): Promise<void> {
    while (this.#watching && this.camera.running) {
      if (this.camera.ready && !document.hidden) {
        this.#tell(await this.#predict(photoFrom(this.camera.video, this.session.model.imageSize)));
      }
      await (this.session.training
        ? new Promise((resolve) => setTimeout(resolve, WHILE_TRAINING))
        : new Promise(requestAnimationFrame));
    }
    this.#stop();
  }

  /** Announces a changed prediction for the camera, for users who do not see the bars. */
  #tell({ name, probability }: Row): void {
    const now = performance.now();
    const due = name !== this.#told.name && now - this.#told.time > PATIENCE;
    if (this.#watching && due && !this.session.training) {
      this.#told = { name, time: now };
      byId("told").textContent = `${name}: ${percent(probability)}.`;
    }
  }

  /** Shows the prediction for a photo; returns the best class. */
  async #predict(photo: Photo): Promise<Row> {
    const { model } = this.session;
    const image = modelInput(photo, model.imageSize, model.centralFraction);
    // A training has the model to itself, and lets one look between two steps.
    const [now, before] = this.session.training
      ? await this.#now(image)
      : await this.session.exclusively(() => (this.#before.checked ? this.#both(image) : this.#now(image)));
    this.#picture(image);
    this.#bars(now, before);
    return this.#rows(now).sort((one, other) => other.probability - one.probability)[0]!;
  }

  async #now(image: Uint8Array): Promise<[Float32Array, Float32Array | undefined]> {
    return [(await this.session.model.infer(image)).probabilities, undefined];
  }

  /** The exported state is put into the model for one image, and then the learned one again. */
  async #both(image: Uint8Array): Promise<[Float32Array, Float32Array]> {
    const { model } = this.session;
    const [now] = await this.#now(image);
    const learned = await model.save();
    try {
      await model.restore(this.session.exported);
      return [now, (await model.infer(image)).probabilities];
    } finally {
      await model.restore(learned);
    }
  }

  #picture(image: Uint8Array): void {
    const canvas = byId<HTMLCanvasElement>("try-picture");
    const [height, width] = this.session.model.imageSize;
    [canvas.width, canvas.height] = [width, height];
    const data = new ImageData(width, height);
    for (let pixel = 0; pixel < width * height; pixel++) {
      data.data.set(image.subarray(pixel * 3, pixel * 3 + 3), pixel * 4);
      data.data[pixel * 4 + 3] = 255;
    }
    canvas.getContext("2d")?.putImageData(data, 0, 0);
    canvas.hidden = false;
    byId("try-empty").hidden = true;
  }

  #bars(now: Float32Array, before: Float32Array | undefined): void {
    const earlier = before && this.#rows(before);
    byId("bars").replaceChildren(
      ...this.#rows(now).map(({ name, probability, color = "" }, index) => {
        const then = earlier?.[index]?.probability;
        const words =
          then === undefined ? percent(probability) : `${percent(probability)}, before ${percent(then)}`;
        const item = barItem(
          name,
          words,
          bar(probability),
          ...(then === undefined ? [] : [bar(then, "bar before")]),
        );
        item.dataset.color = color;
        return item;
      }),
    );
  }

  /** Name and probability of each class, and the rest for the model's other classes. */
  #rows(probabilities: Float32Array): Row[] {
    // A class that the model does not have yet has no probability.
    const rows: Row[] = this.classes.classes
      .map(({ name, output }, index) => ({ name, output, color: colorOf(index) }))
      .filter(({ output }) => output !== NEW)
      .map(({ name, output, color }) => ({ name, color, probability: probabilities[output] ?? 0 }));
    const rest = 1 - rows.reduce((sum, { probability }) => sum + probability, 0);
    return rows.length < this.classes.namesInFile.length
      ? [...rows, { name: "others", probability: Math.max(0, rest) }]
      : rows;
  }
}
