import { copyBytes } from "./bytes.js";
import type { FileContent } from "./bytes.js";
import { sha256, toHex } from "./sha256.js";

/**
 * Returns the identity of a photo by its content, the same in all clients: SHA-256 in lowercase hexadecimal.
 *
 * @param content The photo's file, or its pixels without a file.
 */
export async function photoId(content: FileContent): Promise<string> {
  return toHex(await sha256(await copyBytes(content)));
}
