/** A file's content. */
export type FileContent = ArrayBuffer | Uint8Array | Blob;

/** Returns the bytes in memory of their own, so that they can be handed on to a worker. */
export async function copyBytes(content: FileContent): Promise<Uint8Array<ArrayBuffer>> {
  if (content instanceof Blob) {
    return new Uint8Array(await content.arrayBuffer());
  }
  return new Uint8Array(content instanceof ArrayBuffer ? content.slice(0) : content);
}
