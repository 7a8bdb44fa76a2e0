package org.tinytl

import java.io.Closeable
import java.io.File
import java.io.IOException
import java.io.RandomAccessFile
import java.nio.channels.OverlappingFileLockException

/**
 * Lets one run at a time write a state file, across processes; the system releases it when the process ends.
 *
 * The file that is locked stays: if it were removed, a run that has opened it and one that makes another would both
 * have a lock.
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
         * Takes the lock.
         *
         * @param files of the run
         * @throws InputException if another run has it, or it cannot be taken
         */
        fun take(files: RunFiles): RunLock {
            val file = files.lock
            // A second stream would, when it is closed, give up the lock that this process has.
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
            "expected no other run that writes ${files.state}, got one that trains; wait for its end, or choose " +
                "another state file",
            cause,
        )
    }
}
