import { RuntimeUnavailable } from "../src/index.js";

const REASONS: Readonly<Record<string, string>> = {
  NotAllowedError: "the camera was not allowed; allow it in the browser's settings of this page",
  NotFoundError: "expected a camera, found none; connect one",
  NotReadableError: "the camera is in use by another program; close that",
  OverconstrainedError: "the camera does not give pictures of this kind; try another",
};
const QUALITY = 0.95;

/** The camera, shown in a video element. */
export class Camera {
  #stream: MediaStream | undefined;
  #facing: "environment" | "user" = "environment";

  constructor(readonly video: HTMLVideoElement) {}

  get running(): boolean {
    return this.#stream !== undefined;
  }

  /** Whether there is a picture. */
  get ready(): boolean {
    return this.running && this.video.videoWidth > 0;
  }

  /** Starts the camera and waits for its first picture. */
  async start(): Promise<void> {
    // Absent from pages that came over http from another machine.
    const devices = (navigator as { mediaDevices?: MediaDevices }).mediaDevices;
    if (!devices) {
      throw new RuntimeUnavailable(
        "the browser gives the camera to pages of https or localhost only; add photos from files instead",
      );
    }
    try {
      const video = { facingMode: this.#facing, width: { ideal: 640 }, height: { ideal: 480 } };
      this.#stream = await devices.getUserMedia({ video, audio: false });
      this.video.srcObject = this.#stream;
      await this.video.play();
    } catch (error) {
      this.stop();
      const { name, message } = error as Error;
      throw new RuntimeUnavailable(
        `${REASONS[name] ?? `no camera (${message})`}, or add photos from files instead`,
      );
    }
  }

  stop(): void {
    this.#stream?.getTracks().forEach((track) => {
      track.stop();
    });
    this.#stream = undefined;
    this.video.srcObject = null;
  }

  /** Switches to the camera that faces the other way. */
  async turn(): Promise<void> {
    this.#facing = this.#facing === "environment" ? "user" : "environment";
    this.stop();
    await this.start();
  }

  /** Number of cameras that the browser lists. */
  async count(): Promise<number> {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter(({ kind }) => kind === "videoinput").length;
  }

  /** The picture that is shown, as a file. */
  async take(): Promise<Blob> {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [this.video.videoWidth, this.video.videoHeight];
    canvas.getContext("2d")?.drawImage(this.video, 0, 0);
    const file = await new Promise<Blob | null>((resolve) => {
      canvas.toBlob(resolve, "image/jpeg", QUALITY);
    });
    if (!file) {
      throw new RuntimeUnavailable("the camera has no picture yet; wait a moment");
    }
    return file;
  }
}
