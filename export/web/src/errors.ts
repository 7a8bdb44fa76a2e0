/** Base class of all errors of the package; messages have the expected value, the actual value, and a remedy. */
export class TinyTLError extends Error {
  override name = "TinyTLError";
}

/** An invalid file, image, label or setting. */
export class InputError extends TinyTLError {
  override name = "InputError";
}

/** A loss or gradient is no longer finite; earlier saves are intact. */
export class TrainingDiverged extends TinyTLError {
  override name = "TrainingDiverged";
}

/** This browser lacks a feature, or the runtime could not be started or has crashed. */
export class RuntimeUnavailable extends TinyTLError {
  override name = "RuntimeUnavailable";
}

/** Returns the message of a thrown value on one line; WebAssembly also throws numbers. */
export function reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split(/\s+/).join(" ").trim().slice(0, 300);
}
