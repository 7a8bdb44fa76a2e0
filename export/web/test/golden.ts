/** The golden files of the repository, which every client is tested against; golden/README.md describes them. */

import { readFileSync } from "node:fs";
import { resolve } from "node:path";

const FOLDER = resolve("../../golden");

/** Content of a golden file. */
export function golden(name: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(`${FOLDER}/${name}`));
}

/** Text of a golden file. */
export function goldenText(name: string): string {
  return readFileSync(`${FOLDER}/${name}`, "utf-8");
}

/** A golden file of JSON, whose shape the caller knows. */
export function goldenJson<T>(name: string): T {
  return JSON.parse(goldenText(name)) as T;
}

/** One photo of `training_*.json`. */
export interface GoldenPhoto {
  readonly photo: string;
  readonly pixels: string;
  readonly label: number;
}

/** What a step gave with a delegate. */
export interface GoldenStepResult {
  readonly loss: number;
  readonly accuracy: number;
  readonly applied: number;
}

/** One step of `training_*.json`. */
export interface GoldenStep {
  readonly photos: readonly number[];
  readonly labels: readonly number[];
  readonly learning_rate: number;
  readonly xnnpack: GoldenStepResult;
  readonly without_xnnpack: GoldenStepResult;
}

/** Logits and probabilities of each photo. */
export interface GoldenAnswers {
  readonly logits: readonly (readonly number[])[];
  readonly probabilities: readonly (readonly number[])[];
}

/** `training_*.json`. */
export interface GoldenTraining {
  readonly tolerances: Readonly<Record<"loss" | "accuracy" | "logits" | "probabilities" | "update", number>>;
  readonly photos: readonly GoldenPhoto[];
  readonly exported_state_sha256: string;
  readonly before: Readonly<Record<"xnnpack" | "without_xnnpack", GoldenAnswers>>;
  readonly after: Readonly<Record<"xnnpack" | "without_xnnpack", GoldenAnswers>>;
  readonly steps: readonly GoldenStep[];
  readonly refused: readonly Pick<GoldenStep, "photos" | "labels" | "learning_rate">[];
  readonly state_after: string;
}
