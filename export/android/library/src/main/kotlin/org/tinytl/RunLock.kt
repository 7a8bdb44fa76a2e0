package org.tinytl

import java.io.Closeable
import java.io.File
import java.io.IOException
import java.io.RandomAccessFile
import java.nio.channels.OverlappingFileLockException

/**
 * Lets one run at a time write a state file, across processes; the system releases the lock when the process ends.
 *
 * The lock file is never removed: otherwise a run that has opened it and a run that creates a new one would both hold a
 * lock.
 */
internal class RunLock private constructor(
    private val file: File,
    private val stream: RandomAccessFile,
) : Closeable {
    override fun close() {
        stream.close()
        synchronized(held) { held -= file }
    }

    companion object {
        private val held = HashSet<File>()

        /**
         * Acquires the lock.
         *
         * @param files files of the run
         * @throws InputException if another run holds the lock, or it cannot be acquired
         */
        fun take(files: RunFiles): RunLock {
            val file = files.lock
            // Closing a second stream would release the lock of this process.
            if (!synchronized(held) { held.add(file) }) {
                throw taken(files)
            }
            var stream: RandomAccessFile? = null
            var isTaken = false
            try {
                file.parentFile?.mkdirs()
                stream = RandomAccessFile(file, "rw")
                isTaken = stream.channel.tryLock() != null
                return if (isTaken) RunLock(file, stream) else throw taken(files)
            } catch (error: OverlappingFileLockException) {
                throw taken(files, error)
            } catch (error: IOException) {
                throw AtomicFile.unwritable(file, error)
            } finally {
                if (!isTaken) {
                    stream?.close()
                    synchronized(held) { held -= file }
                }
            }
        }

        private fun taken(
            files: RunFiles,
            cause: Throwable? = null,
        ) = InputException(
            "${files.state} is in use by another run; wait for it to end, or choose another state file",
            cause,
        )
    }
}
