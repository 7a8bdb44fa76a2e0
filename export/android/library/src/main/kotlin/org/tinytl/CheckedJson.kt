package org.tinytl

import org.json.JSONObject
import java.io.File
import java.io.IOException

/** JSON files of a run with a checksum, which detects damage and edits. */
internal object CheckedJson {
    private const val BEGIN = "{\"sha256\":\""
    private const val MIDDLE = "\",\"content\":"
    private const val END = "}"
    private const val DIGITS = 64

    /** Replaces a file atomically. */
    fun write(
        file: File,
        content: JSONObject,
    ) {
        val text = content.toString()
        AtomicFile.write(file, "$BEGIN${sha256(text)}$MIDDLE$text$END".toByteArray())
    }

    /**
     * Reads the output of [write].
     *
     * @param remedy end of the error message
     * @throws InputException if the file cannot be read, or was changed
     */
    fun read(
        file: File,
        remedy: String,
    ): JsonFields {
        val bytes =
            try {
                file.readBytes()
            } catch (error: IOException) {
                throw InputException("expected a run to resume at $file, got: ${error.message}; $remedy", error)
            }
        val text = bytes.decodeToString()
        val content = text.drop(BEGIN.length + DIGITS + MIDDLE.length).dropLast(END.length)
        val expected = "$BEGIN${sha256(content)}$MIDDLE$content$END"
        if (!expected.toByteArray().contentEquals(bytes)) {
            throw InputException(
                "$file is damaged: expected the file that the run wrote, got an edited or truncated file; $remedy",
            )
        }
        return JsonFields.parse(content, file.toString(), remedy)
    }

    private fun sha256(text: String) = Fingerprint.hex(Fingerprint.of(text.toByteArray()))
}
