/** Base of all errors that the package raises on purpose: what was expected, what came, and a remedy that exists. */
export class TinyTLError extends Error {
  override name = "TinyTLError";
}

/** What was given cannot be used: a file, an image, a label, a setting. */
export class InputError extends TinyTLError {
  override name = "InputError";
}

/** A loss or gradient is not finite any more; what was saved before is whole. */
export class TrainingDiverged extends TinyTLError {
  override name = "TrainingDiverged";
}

/** This browser lacks something, or the runtime could not be started or has died. */
export class RuntimeUnavailable extends TinyTLError {
  override name = "RuntimeUnavailable";
}

/** What a thrown value says, on one line; WebAssembly throws numbers too. */
export function reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split(/\s+/).join(" ").trim().slice(0, 300);
}
