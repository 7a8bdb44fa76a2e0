/** The classic worker in which LiteRT runs; `WorkerEngine` is its counterpart in the page. */

import type { Engine, Tensors } from "./engine.js";
import { RuntimeUnavailable } from "./errors.js";
import { LocalEngine } from "./local-engine.js";
import type { Method, Request, Response, StartArgs } from "./worker-protocol.js";

interface WorkerScope {
  onmessage: ((event: MessageEvent<Request>) => void) | null;
  postMessage(message: Response, transfer: Transferable[]): void;
}

const scope = self as unknown as WorkerScope;
let engine: Engine | undefined;

scope.onmessage = ({ data }) => {
  void answer(data);
};

async function answer({ id, method, args }: Request): Promise<void> {
  try {
    const result = await carryOut(method, args);
    scope.postMessage({ id, result }, method === "run" ? buffers(result as Tensors) : []);
  } catch (error) {
    const { name, message } = error as Error;
    scope.postMessage({ id, error: { name, message } }, []);
  }
}

async function carryOut(method: Method, args: readonly unknown[]): Promise<unknown> {
  if (method === "start") {
    engine = await LocalEngine.start(...(args as unknown as StartArgs));
    return undefined;
  }
  if (!engine) {
    throw new RuntimeUnavailable(
      "expected a runtime that was started, got a call before the start; start it",
    );
  }
  return (engine as unknown as Record<Method, (...args: unknown[]) => unknown>)[method](...args);
}

function buffers(tensors: Tensors): ArrayBuffer[] {
  return Object.values(tensors).map((data) => data.buffer);
}
