import { InputError } from "../src/index.js";
import type { Manifest } from "../src/index.js";

/** A model that can be chosen. */
export interface ListedModel {
  readonly name: string;
  /** Addresses of its two files. */
  readonly model: string;
  readonly manifest: string;
}

/** The two files of a model. */
export interface ModelFiles {
  readonly name: string;
  readonly model: Blob;
  readonly manifest: string;
}

/** Models that the server of this page has. */
export async function listModels(): Promise<ListedModel[]> {
  return JSON.parse(await (await download("models.json")).text()) as ListedModel[];
}

/** Reads a model of the list. */
export async function readListed(listed: ListedModel): Promise<ModelFiles> {
  const [model, manifest] = await Promise.all([download(listed.model), download(listed.manifest)]);
  return { name: listed.name, model: await model.blob(), manifest: await manifest.text() };
}

/** Takes the two files of a model out of files that a person has given. */
export async function readOwn(models: readonly File[], manifests: readonly File[]): Promise<ModelFiles> {
  const [model, manifest] = [models[0], manifests[0]];
  if (!model || !manifest || models.length > 1 || manifests.length > 1) {
    const got = [...models, ...manifests].map(({ name }) => name).join(", ");
    throw new InputError(
      `expected two files of a model, NAME.tflite and NAME.manifest.json, got ${got}; give both together`,
    );
  }
  return { name: model.name.replace(/\.tflite$/, ""), model, manifest: await manifest.text() };
}

/** Refuses a model that this page has no examples or no labels for. */
export function requireClassesOfPhotos({ input, task }: Manifest, name: string): void {
  if (!input) {
    throw new InputError(
      `expected a model of photos, got ${name} of float arrays, which this page cannot take; train it with the package ` +
        "tinytl-web",
    );
  }
  if (task !== "classification") {
    const labels = task === "regression" ? "numbers" : "several attributes";
    throw new InputError(
      `expected a model of one class for each photo, got ${name} of ${labels} (${task}), for which this ` +
        "page has no labels; train it with `tinytl adapt` or the package tinytl-web",
    );
  }
}

async function download(address: string): Promise<Response> {
  const response = await fetch(address);
  if (!response.ok) {
    throw new InputError(
      `expected ${address} from the server of this page, got status ${response.status}; start the server again`,
    );
  }
  return response;
}
