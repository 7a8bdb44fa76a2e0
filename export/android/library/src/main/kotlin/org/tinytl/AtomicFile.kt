package org.tinytl

import java.io.File
import java.io.FileOutputStream
import java.io.IOException

/** Writes files that are either whole or as they were. */
internal object AtomicFile {
    private const val SUFFIX = ".tinytl.tmp"
    private const val LEFT_OVER_MILLIS = 3_600_000L

    /**
     * Replaces [file]: whatever happens meanwhile, a reader sees the old content or the new one.
     *
     * The content goes to a temporary file in the same folder, is flushed to the disk, and takes the name in one step.
     * Temporary files that a killed process left an hour ago or earlier are removed. Missing folders are made.
     *
     * @throws InputException if the file cannot be written; an old one is untouched
     */
    fun write(
        file: File,
        content: ByteArray,
    ) {
        try {
            if (file.isDirectory) {
                throw IOException("it is a folder")
            }
            val target = file.canonicalFile
            val folder = target.parentFile ?: throw IOException("it has no folder")
            folder.mkdirs()
            removeLeftovers(folder, target.name)
            val temporary = File.createTempFile(prefix(target.name), SUFFIX, folder)
            try {
                FileOutputStream(temporary).use {
                    it.write(content)
                    it.flush()
                    it.fd.sync()
                }
                if (!temporary.renameTo(target)) {
                    throw IOException("the new file cannot take the name")
                }
            } finally {
                temporary.delete()
            }
        } catch (error: IOException) {
            throw InputException(
                "expected to write $file, got: ${error.message}; choose a path that can be written and make room",
                error,
            )
        }
    }

    private fun prefix(name: String) = ".$name."

    private fun removeLeftovers(
        folder: File,
        name: String,
    ) {
        val before = System.currentTimeMillis() - LEFT_OVER_MILLIS
        folder
            .listFiles { _, other -> other.startsWith(prefix(name)) && other.endsWith(SUFFIX) }
            ?.filter { it.lastModified() < before }
            ?.forEach { it.delete() }
    }
}
