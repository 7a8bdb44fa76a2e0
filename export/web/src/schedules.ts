/** Returns the learning rate of step `step`, counted from 0, of `total` steps. */
export type Schedule = (step: number, total: number, base: number) => number;

/** Schedules by name. */
export const SCHEDULES = {
  cosine: (step, total, base) => 0.5 * base * (1 + Math.cos((Math.PI * step) / total)),
  constant: (_step, _total, base) => base,
} as const satisfies Record<string, Schedule>;
