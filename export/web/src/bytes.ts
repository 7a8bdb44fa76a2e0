/** Content of a file. */
export type FileContent = ArrayBuffer | Uint8Array | Blob;

/** Returns the bytes in a buffer of their own, so that they can be transferred to a worker. */
export async function copyBytes(content: FileContent): Promise<Uint8Array<ArrayBuffer>> {
  if (content instanceof Blob) {
    return new Uint8Array(await content.arrayBuffer());
  }
  return new Uint8Array(content instanceof ArrayBuffer ? content.slice(0) : content);
}
