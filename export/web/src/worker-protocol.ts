import type { Engine, EngineOptions } from "./engine.js";

/** Methods of the worker: those of the engine, and `start`, which must be called first. */
export type Method = keyof Engine | "start";

/** Message from the page to the worker. */
export interface Request {
  readonly id: number;
  readonly method: Method;
  readonly args: readonly unknown[];
}

/** Message from the worker to the page: a result, or the kind and the message of an error. */
export type Response =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: { readonly name: string; readonly message: string } };

/** Arguments of `start`. */
export type StartArgs = readonly [EngineOptions];
