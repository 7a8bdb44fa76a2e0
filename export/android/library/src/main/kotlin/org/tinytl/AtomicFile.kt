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

    /** Temporary files of this process: closing a second stream of one would give up the lock of the first. */
    private val inUse = HashSet<File>()

    /**
     * Replaces [file]: a reader always sees the complete old or new content.
     *
     * The content is written to a temporary file in the same folder, flushed to the disk, and renamed in one step.
     * Temporary files of killed processes are removed after an hour; files of running writers are locked, also for
     * other containers. Missing folders are created.
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
            replace(target, folder, content)
        } catch (error: IOException) {
            throw unwritable(file, error)
        }
    }

    /** The refusal of a path that cannot be written. */
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
                    // Another process may take it for a left-over before it is locked.
                    if (!isLocked(stream) || !temporary.exists()) {
                        return@repeat
                    }
                    stream.write(content)
                    stream.fd.sync()
                    if (!temporary.renameTo(target)) {
                        throw IOException("the new file cannot take the name")
                    }
                }
                return
            } finally {
                temporary.delete()
                synchronized(inUse) { inUse -= temporary }
            }
        }
        throw IOException("temporary files are taken away")
    }

    /** Whether the lock was free; without locks in the file system, a file in use does not count as abandoned. */
    private fun isLocked(stream: RandomAccessFile): Boolean =
        try {
            stream.channel.tryLock() != null
        } catch (_: IOException) {
            true
        }

    /** It is always short: the name may be as long as the file system allows. */
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
                // It is gone, or not ours to remove.
            }
        }
    }
}
