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

/** Location of LiteRT's files, and options of the runtime. */
export interface EngineOptions {
  /** Absolute URL of the folder with the files of `@litertjs/core/wasm`. */
  readonly wasm: string;
  /** Whether to use LiteRT's build with threads, which needs a cross-origin isolated page. */
  readonly threads?: boolean;
}

/** A runtime with one model; calls run one after the other. */
export interface Engine {
  /** Loads a model and takes ownership of its memory; returns its signatures by name. */
  open(model: Uint8Array<ArrayBuffer>): Promise<Record<string, SignatureInfo>>;
  /** Runs a signature; the inputs must have its types and lengths. */
  run(signature: string, inputs: Tensors): Promise<Tensors>;
  /** Memory of the runtime in bytes. */
  heapBytes(): Promise<number>;
  /** Frees the runtime and the model. */
  close(): Promise<void>;
}
