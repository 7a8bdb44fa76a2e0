import type { EvaluateResult } from "./evaluate.js";

/** One step: what `train` gave, its learning rate, and how long it took. */
export interface StepRecord {
  readonly loss: number;
  readonly accuracy: number;
  readonly applied: boolean;
  readonly milliseconds: number;
}

/** How far a training is: all that it continues from. */
export interface TrainingProgress {
  /** What the numbers depend on; a training continues with the same settings only. */
  readonly settings: string;
  /** On the held-out photos before the first step. */
  readonly before: EvaluateResult | undefined;
  readonly steps: readonly StepRecord[];
  /** On the held-out photos after each epoch, if there are any. */
  readonly epochs: readonly (EvaluateResult | undefined)[];
  /** A `.tinytl` file. */
  readonly state: Uint8Array<ArrayBuffer>;
}

/** Where a training saves how far it is; whatever happens, a reader finds the old progress or the new one. */
export interface ProgressStore {
  read(): Promise<TrainingProgress | undefined>;
  write(progress: TrainingProgress): Promise<void>;
  remove(): Promise<void>;
  /** Where others can use the same store: runs `work` while no other training does, or refuses at once. */
  exclusively?<T>(work: () => Promise<T>): Promise<T>;
}
