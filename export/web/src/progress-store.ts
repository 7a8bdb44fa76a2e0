import type { EvaluateResult } from "./evaluate.js";

/** One step: result of `train`, its learning rate, and its time. */
export interface StepRecord {
  readonly loss: number;
  readonly accuracy: number;
  readonly applied: boolean;
  readonly milliseconds: number;
}

/** How far a training is: all that it continues from. */
export interface TrainingProgress {
  /** Settings that the numbers depend on; a training continues with the same settings only. */
  readonly settings: string;
  /** On the held-out photos before the first step. */
  readonly before: EvaluateResult | undefined;
  readonly steps: readonly StepRecord[];
  /** On the held-out photos after each epoch, if there are any. */
  readonly epochs: readonly (EvaluateResult | undefined)[];
  /** A `.tinytl` file. */
  readonly state: Uint8Array<ArrayBuffer>;
}

/** Storage of a training's progress; a reader always finds the complete old or new progress. */
export interface ProgressStore {
  read(): Promise<TrainingProgress | undefined>;
  write(progress: TrainingProgress): Promise<void>;
  remove(): Promise<void>;
  /** For a shared store: runs `work` while no other training does, or refuses at once. */
  exclusively?<T>(work: () => Promise<T>): Promise<T>;
}
