import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";

/** LiteRT's runtime in the package of npm. */
export const WASM = "node_modules/@litertjs/core/wasm";

/** `tinytl serve` as a person runs it. */
export class Server {
  private constructor(
    private readonly child: ChildProcess,
    /** Where the page is. */
    readonly address: string,
  ) {}

  /** Starts it with the runtime of this package and waits for the address that it prints. */
  static start(...flags: string[]): Promise<Server> {
    return Server.run([`--wasm=${WASM}`, ...flags]);
  }

  /** Starts it with these flags and waits for the address that it prints. */
  static async run(flags: readonly string[], env = process.env): Promise<Server> {
    const args = ["-m", "tinytl_tf.cli.main", "serve", "--port=0", ...flags];
    const child = spawn(process.env.PYTHON!, args, { stdio: ["ignore", "pipe", "pipe"], env });
    let output = "";
    const address = await new Promise<string>((resolve, reject) => {
      const read = (data: Buffer) => {
        output += data.toString();
        const found = /open (http:\S+) /.exec(output)?.[1];
        if (found) {
          resolve(found);
        }
      };
      child.stdout.on("data", read);
      child.stderr.on("data", read);
      child.on("exit", () => {
        reject(new Error(`the server ended: ${output}`));
      });
    });
    return new Server(child, address);
  }

  /** Ends it, if it has not ended. */
  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) {
      return;
    }
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGTERM");
    await ended;
  }
}
