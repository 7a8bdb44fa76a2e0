package org.tinytl.sample

import android.content.ContentProvider
import android.content.ContentValues
import android.content.Context
import android.database.Cursor
import android.database.MatrixCursor
import android.net.Uri
import android.os.ParcelFileDescriptor
import android.provider.OpenableColumns
import java.io.File
import java.io.FileNotFoundException

/** Lets apps that the user chooses read the shared state, and the camera app write its photo. */
class SharedFiles : ContentProvider() {
    override fun onCreate(): Boolean = true

    override fun getType(uri: Uri): String = if (uri.lastPathSegment == PHOTO) "image/jpeg" else STATE_TYPE

    override fun openFile(
        uri: Uri,
        mode: String,
    ): ParcelFileDescriptor = ParcelFileDescriptor.open(fileOf(uri), ParcelFileDescriptor.parseMode(mode))

    override fun query(
        uri: Uri,
        projection: Array<String>?,
        selection: String?,
        selectionArgs: Array<String>?,
        sortOrder: String?,
    ): Cursor {
        val file = fileOf(uri)
        val values = mapOf(OpenableColumns.DISPLAY_NAME to file.name, OpenableColumns.SIZE to file.length())
        val columns = projection ?: values.keys.toTypedArray()
        val cursor = MatrixCursor(columns, 1)
        cursor.addRow(columns.map { values[it] })
        return cursor
    }

    override fun insert(
        uri: Uri,
        values: ContentValues?,
    ): Uri = throw unchangeable()

    override fun update(
        uri: Uri,
        values: ContentValues?,
        selection: String?,
        selectionArgs: Array<String>?,
    ): Int = throw unchangeable()

    override fun delete(
        uri: Uri,
        selection: String?,
        selectionArgs: Array<String>?,
    ): Int = throw unchangeable()

    private fun fileOf(uri: Uri): File {
        val name = uri.pathSegments.singleOrNull()
        if (name !in NAMES) {
            throw FileNotFoundException("expected one of ${NAMES.joinToString()}, got $uri; no other files are shared")
        }
        return file(checkNotNull(context), checkNotNull(name))
    }

    private fun unchangeable() =
        UnsupportedOperationException("expected to open or query a file; files cannot be changed")

    internal companion object {
        const val PHOTO = "photo.jpg"
        const val STATE = "mine.tinytl"
        const val STATE_TYPE = "application/octet-stream"
        private val NAMES = listOf(PHOTO, STATE)

        fun file(
            context: Context,
            name: String,
        ): File = File(File(context.filesDir, "shared").apply { mkdirs() }, name)

        fun uri(name: String): Uri = Uri.parse("content://org.tinytl.sample.files/$name")
    }
}
