import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";

/** `tinytl serve` as a person runs it. */
export class Server {
  private constructor(
    private readonly child: ChildProcess,
    /** Where the page is. */
    readonly address: string,
  ) {}

  /** Starts it and waits for the address that it prints. */
  static async start(...flags: string[]): Promise<Server> {
    const args = ["-m", "tinytl_tf.cli.main", "serve", "--wasm=node_modules/@litertjs/core/wasm", ...flags];
    const port = flags.some((flag) => flag.startsWith("--port")) ? [] : ["--port=0"];
    const child = spawn(process.env.PYTHON!, [...args, ...port], { stdio: ["ignore", "pipe", "pipe"] });
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
