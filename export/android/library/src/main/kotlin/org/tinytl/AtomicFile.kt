package org.tinytl

import java.io.File
import java.io.IOException
import java.io.RandomAccessFile
import java.security.SecureRandom

/** Writes files atomically. */
internal object AtomicFile {
    private const val SUFFIX = ".tinytl.tmp"
    private const val LEFT_OVER_MILLIS = 3_600_000L
    private const val PREFIX_BYTES = 8
    private const val TRIES = 10
    private val random = SecureRandom()

    /** Temporary files of this process: closing a second stream of a file would release the lock of the first. */
    private val inUse = HashSet<File>()

    /**
     * Replaces [file]: a reader always sees the complete old or new content.
     *
     * The content is written to a temporary file in the same folder, flushed to the disk, and renamed in one step.
     * Temporary files of killed processes are removed after an hour; files of running writers are locked, also for
     * other containers. Missing folders are created.
     *
     * @throws InputException if the file cannot be written; an old file is untouched
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
            val folder = target.parentFile ?: throw IOException("it has no parent folder")
            folder.mkdirs()
            removeLeftovers(folder, target.name)
            replace(target, folder, content)
        } catch (error: IOException) {
            throw unwritable(file, error)
        }
    }

    /** Returns the error for a path that cannot be written. */
    fun unwritable(
        file: File,
        error: IOException,
    ) = InputException(
        "expected to write $file, got: ${error.message}; choose a path that can be written and make room",
        error,
    )

    private fun replace(
        target: File,
        folder: File,
        content: ByteArray,
    ) {
        repeat(TRIES) {
            val temporary = File(folder, "${prefix(target.name)}${random.nextLong().toULong().toString(16)}$SUFFIX")
            synchronized(inUse) { inUse += temporary }
            try {
                if (!temporary.createNewFile()) {
                    return@repeat
                }
                RandomAccessFile(temporary, "rw").use { stream ->
                    // Until it is locked, another process may remove it as abandoned.
                    if (!isLocked(stream) || !temporary.exists()) {
                        return@repeat
                    }
                    stream.write(content)
                    stream.fd.sync()
                    if (!temporary.renameTo(target)) {
                        throw IOException("the new file cannot be renamed to it")
                    }
                }
                return
            } finally {
                temporary.delete()
                synchronized(inUse) { inUse -= temporary }
            }
        }
        throw IOException("another program removes temporary files")
    }

    /** Whether no other process holds the lock. If the file system has no locks, the file counts as in use. */
    private fun isLocked(stream: RandomAccessFile): Boolean =
        try {
            stream.channel.tryLock() != null
        } catch (_: IOException) {
            true
        }

    /** The temporary name is always short, since the name of the target may be as long as the file system allows. */
    private fun prefix(name: String) = ".${Fingerprint.hex(Fingerprint.of(name.toByteArray()).copyOf(PREFIX_BYTES))}."

    private fun removeLeftovers(
        folder: File,
        name: String,
    ) {
        val before = System.currentTimeMillis() - LEFT_OVER_MILLIS
        folder
            .listFiles { _, other -> other.startsWith(prefix(name)) && other.endsWith(SUFFIX) }
            ?.filter { it.lastModified() < before }
            ?.forEach { removeUnlessInUse(it) }
    }

    private fun removeUnlessInUse(temporary: File) {
        synchronized(inUse) {
            if (temporary in inUse) {
                return
            }
            try {
                RandomAccessFile(temporary, "rw").use { stream ->
                    if (stream.channel.tryLock() != null) {
                        temporary.delete()
                    }
                }
            } catch (_: IOException) {
                // It no longer exists, or this process may not remove it.
            }
        }
    }
}
