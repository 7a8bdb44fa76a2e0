import { InputError, RuntimeUnavailable } from "../src/index.js";
import { Camera } from "./camera.js";
import { ClassList } from "./class-list.js";
import { byId } from "./dom.js";
import { droppedFiles, sortFiles } from "./dropped-files.js";
import type { PlacedFile } from "./dropped-files.js";
import { KeepPanel } from "./keep-panel.js";
import { attempt, complain, say } from "./messages.js";
import { ModelPanel } from "./model-panel.js";
import { keepForOffline } from "./offline.js";
import { takeData } from "./only-tab.js";
import { PhotosPanel } from "./photos-panel.js";
import { Session } from "./session.js";
import { Steps } from "./steps.js";
import { Storage } from "./storage.js";
import { TrainPanel } from "./train-panel.js";
import { TryPanel } from "./try-panel.js";

const NEEDED = {
  WebAssembly: "WebAssembly",
  Worker: "web workers",
  createImageBitmap: "image bitmaps",
} as const;

async function begin(): Promise<void> {
  checkBrowser();
  const storage = new Storage();
  const session = new Session(storage);
  const camera = new Camera(byId<HTMLVideoElement>("camera"));
  const classes = new ClassList(storage, () => {
    show();
  });
  const photos = new PhotosPanel(classes, camera, session);
  const model = new ModelPanel(session, classes, storage);
  const keep = new KeepPanel(session, classes, model);
  const trying = new TryPanel(session, classes, camera, photos);
  const train = new TrainPanel(session, classes, storage, () => {
    trying.follow();
  });
  new Steps();
  const show = () => {
    photos.show();
    train.show();
    keep.show();
    trying.refresh();
  };
  session.onChange(show);
  acceptDrops(async (files, target) => {
    if (session.training) {
      throw new InputError("expected no files while the model trains; wait, or stop the training");
    }
    if (session.readOnly) {
      throw new InputError(
        "expected no files in a second tab of this page, got some; drop them in the first tab",
      );
    }
    const { models, manifests, states, projects, folders } = sortFiles(files);
    if (projects[0]) {
      await keep.openProject(projects[0]);
      return;
    }
    if (models.length + manifests.length > 0) {
      await model.openOwn(models, manifests);
    }
    const entry = photos.classAt(target);
    if (entry && folders.size > 0) {
      await photos.addTo(entry, folders);
    } else {
      await photos.addFolders(folders);
    }
    if (states[0]) {
      await keep.load(states[0]);
    }
  });
  session.readOnly = storage.readOnly = !(await takeData(() => {
    byId("tab-freed").hidden = false;
    byId("tab-taken").hidden = true;
  }));
  byId("tab-note").hidden = !session.readOnly;
  byId("tab-reload").addEventListener("click", () => {
    location.reload();
  });
  await classes.restore();
  say("Loading…");
  byId("app").hidden = false;
  byId("starting").hidden = true;
  byId("offline-note").textContent = await keepForOffline();
  await model.begin();
  if (storage.problem) {
    byId("offline-note").append(` ${storage.problem}`);
  }
}

function checkBrowser(): void {
  const missing = Object.entries(NEEDED).filter(([name]) => !(name in globalThis));
  if (missing.length > 0) {
    throw new RuntimeUnavailable(
      `this browser lacks ${missing.map(([, words]) => words).join(", ")}; use Chrome or Edge 91, Firefox 89, Safari ` +
        "16.4, or newer",
    );
  }
}

function acceptDrops(take: (files: PlacedFile[], target: EventTarget | null) => Promise<void>): void {
  const hint = byId("drop-hint");
  let depth = 0;
  const enter = (change: number) => {
    depth = Math.max(0, depth + change);
    hint.hidden = depth === 0;
  };
  document.addEventListener("dragenter", () => {
    enter(1);
  });
  document.addEventListener("dragleave", () => {
    enter(-1);
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    mark(event.target);
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    enter(-depth);
    mark(null);
    const { dataTransfer, target } = event;
    if (dataTransfer) {
      const files = droppedFiles(dataTransfer);
      attempt(async () => take(await files, target));
    }
  });
}

/** Shows the class that would get what is dropped. */
function mark(target: EventTarget | null): void {
  for (const card of document.querySelectorAll(".class")) {
    card.classList.toggle("over", target instanceof Node && card.contains(target));
  }
}

window.addEventListener("unhandledrejection", ({ reason }) => {
  complain(reason);
});
window.addEventListener("error", ({ error }) => {
  complain(error);
});
begin().catch((error: unknown) => {
  byId("starting").hidden = true;
  complain(error);
});
