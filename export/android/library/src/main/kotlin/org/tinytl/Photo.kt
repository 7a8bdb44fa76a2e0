package org.tinytl

import android.content.ContentResolver
import android.net.Uri
import java.io.File
import java.io.IOException
import java.io.InputStream

/**
 * A photo in a file or from another source of bytes; it is decoded each time a step needs it.
 *
 * @property name name in errors
 * @param open opens a stream of its bytes
 */
public class Photo(
    override val name: String,
    private val open: () -> InputStream,
) : ImageSource {
    override fun read(shortSide: Int): RgbImage = PhotoDecoder.decode(opened { it.readBytes() }, shortSide, name)

    override fun digest(): ByteArray = opened { Fingerprint.of(it) }

    private inline fun <T> opened(block: (InputStream) -> T): T =
        try {
            open().use(block)
        } catch (error: IOException) {
            throw unreadable(error)
        } catch (error: SecurityException) {
            throw unreadable(error)
        }

    private fun unreadable(error: Exception) =
        InputException("expected to read $name, got: ${error.message}; take the photo again or leave it out", error)

    /** Creates photos. */
    public companion object {
        /** A photo in a file. */
        @JvmStatic
        public fun of(file: File): Photo = Photo(file.path) { file.inputStream() }

        /** A photo from another app; take a persistable permission if you read it after a restart. */
        @JvmStatic
        public fun of(
            resolver: ContentResolver,
            uri: Uri,
        ): Photo = Photo(uri.toString()) { resolver.openInputStream(uri) ?: throw IOException("it no longer exists") }
    }
}
