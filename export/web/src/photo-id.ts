import { copyBytes } from "./bytes.js";
import type { FileContent } from "./bytes.js";
import { sha256, toHex } from "./sha256.js";

/**
 * Returns the ID of a photo, which depends only on its content and is the same in all clients: its SHA-256 in lowercase
 * hexadecimal.
 *
 * @param content The photo's file, or its pixels if it has no file.
 */
export async function photoId(content: FileContent): Promise<string> {
  return toHex(await sha256(await copyBytes(content)));
}
