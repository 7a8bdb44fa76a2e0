/** Values of a tensor, in row-major order. */
export type TensorData = Uint8Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Float32Array<ArrayBuffer>;

/** Values by the name of the tensor. */
export type Tensors = Record<string, TensorData>;

/** Type and shape of a tensor. */
export interface TensorInfo {
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** Inputs and outputs of a signature by name. */
export interface SignatureInfo {
  readonly inputs: Readonly<Record<string, TensorInfo>>;
  readonly outputs: Readonly<Record<string, TensorInfo>>;
}

/** Where LiteRT's files are and how it runs. */
export interface EngineOptions {
  /** Address of the folder with the files of `@litertjs/core/wasm`, absolute. */
  readonly wasm: string;
  /** Whether to use LiteRT's build with threads, which needs a page that is cross-origin isolated. */
  readonly threads?: boolean;
}

/** A runtime with one model; calls are carried out one after the other. */
export interface Engine {
  /** Loads a model and takes ownership of its memory; returns its signatures by name. */
  open(model: Uint8Array<ArrayBuffer>): Promise<Record<string, SignatureInfo>>;
  /** Runs a signature; the inputs have its types and lengths. */
  run(signature: string, inputs: Tensors): Promise<Tensors>;
  /** Bytes of the runtime's memory. */
  heapBytes(): Promise<number>;
  /** Frees all of it. */
  close(): Promise<void>;
}
