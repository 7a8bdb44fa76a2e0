import type { EvaluateResult } from "./evaluate.js";

/** A step: result of `train`, learning rate, and duration. */
export interface StepRecord {
  readonly loss: number;
  readonly accuracy: number;
  readonly applied: boolean;
  readonly milliseconds: number;
}

/** Progress of a training, from which it can be resumed. */
export interface TrainingProgress {
  /** Settings that affect the results; a training is resumed only with the same settings. */
  readonly settings: string;
  /** Results on the held-out photos before the first step. */
  readonly before: EvaluateResult | undefined;
  readonly steps: readonly StepRecord[];
  /** Results on the held-out photos after each epoch, if there are held-out photos. */
  readonly epochs: readonly (EvaluateResult | undefined)[];
  /** A `.tinytl` file. */
  readonly state: Uint8Array<ArrayBuffer>;
}

/** Storage of a training's progress; a reader always sees the complete old or new progress. */
export interface ProgressStore {
  read(): Promise<TrainingProgress | undefined>;
  write(progress: TrainingProgress): Promise<void>;
  remove(): Promise<void>;
  /** For a shared store: runs `work` while it holds a lock; throws at once if another training holds it. */
  exclusively?<T>(work: () => Promise<T>): Promise<T>;
}
