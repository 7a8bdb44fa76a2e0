import type { Engine, EngineOptions, SignatureInfo, Tensors } from "./engine.js";
import { InputError, RuntimeUnavailable } from "./errors.js";
import type { Method, Request, Response } from "./worker-protocol.js";

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** LiteRT in a worker, so that the page stays responsive while a step runs. */
export class WorkerEngine implements Engine {
  readonly #waiting = new Map<number, Waiting>();
  #dead: Error | undefined;
  #next = 0;

  private constructor(private readonly worker: Worker) {
    worker.onmessage = ({ data }: MessageEvent<Response>) => {
      this.#settle(data);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.#die(
        `LiteRT's worker has crashed: ${event.message || "its script could not be loaded"}; reload the page, and ` +
          "use a smaller model if the device was out of memory",
      );
    };
  }

  /**
   * Starts a worker and LiteRT in it.
   *
   * @param options Location of LiteRT's files, and options of the runtime.
   * @param script URL of the package's `worker.js`, a classic script, since LiteRT cannot run in a module worker.
   * @throws RuntimeUnavailable If the browser has no workers or LiteRT cannot be started.
   */
  static async start(options: EngineOptions, script: string | URL): Promise<WorkerEngine> {
    if (typeof Worker !== "function") {
      throw new RuntimeUnavailable("expected web workers, which this browser lacks; use a newer browser");
    }
    const engine = new WorkerEngine(new Worker(script));
    try {
      await engine.#call("start", [options]);
    } catch (error) {
      await engine.close();
      throw error;
    }
    return engine;
  }

  open(model: Uint8Array<ArrayBuffer>): Promise<Record<string, SignatureInfo>> {
    return this.#call("open", [model], [model.buffer]);
  }

  run(signature: string, inputs: Tensors): Promise<Tensors> {
    return this.#call("run", [signature, inputs]);
  }

  heapBytes(): Promise<number> {
    return this.#call("heapBytes", []);
  }

  close(): Promise<void> {
    this.#die("the model was deleted; load it again");
    return Promise.resolve();
  }

  #call<T>(method: Method, args: readonly unknown[], transfer: Transferable[] = []): Promise<T> {
    if (this.#dead) {
      return Promise.reject(this.#dead);
    }
    const id = this.#next++;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, method, args } satisfies Request, transfer);
    });
  }

  #settle(response: Response): void {
    const waiting = this.#waiting.get(response.id);
    this.#waiting.delete(response.id);
    if ("error" in response) {
      const { name, message } = response.error;
      waiting?.reject(new (name === "InputError" ? InputError : RuntimeUnavailable)(message));
    } else {
      waiting?.resolve(response.result);
    }
  }

  #die(message: string): void {
    this.#dead ??= new RuntimeUnavailable(message);
    this.worker.terminate();
    for (const waiting of this.#waiting.values()) {
      waiting.reject(this.#dead);
    }
    this.#waiting.clear();
  }
}
