package org.tinytl

import org.junit.Assert.fail
import java.io.File
import kotlin.concurrent.thread
import kotlin.system.exitProcess

/** Another process that uses the library, until [end]. */
internal class OtherProcess private constructor(
    private val process: Process,
) {
    private val output = process.inputStream.bufferedReader()

    /** Ends it in peace, and returns the last line that it prints. */
    fun end(): String {
        process.outputStream.close()
        return output
            .readText()
            .trim()
            .lines()
            .last()
            .also { process.waitFor() }
    }

    /** Ends it as the system ends an app. */
    fun kill() {
        process.toHandle().destroyForcibly()
        process.waitFor()
    }

    companion object {
        private const val READY = "ready"

        /** What the process does until its input ends. */
        private val actions: Map<String, (File) -> String> =
            mapOf(
                "write" to ::write,
                "try" to { file ->
                    println(READY)
                    runCatching { RunLock.take(RunFiles(file)).close() }.exceptionOrNull()?.javaClass?.simpleName
                        ?: "taken"
                },
                "lock" to { file -> RunLock.take(RunFiles(file)).use { waitForEnd() }.let { "unlocked" } },
            )

        /** Starts a process that does [action] with [file]; it has begun when this returns. */
        fun start(
            action: String,
            file: File,
        ): OtherProcess {
            val process =
                ProcessBuilder(
                    File(System.getProperty("java.home"), "bin/java").path,
                    "-Xshare:auto",
                    "-XX:TieredStopAtLevel=1",
                    "-cp",
                    System.getProperty("surefire.test.class.path") ?: System.getProperty("java.class.path"),
                    OtherProcess::class.java.name,
                    action,
                    file.path,
                ).redirectError(ProcessBuilder.Redirect.INHERIT).start()
            val other = OtherProcess(process)
            if (other.output.readLine() != READY) {
                fail("the process does not begin to $action")
            }
            return other
        }

        @JvmStatic
        fun main(arguments: Array<String>) {
            val (action, path) = arguments
            println(runCatching { actions.getValue(action)(File(path)) }.getOrElse { "$it" })
            exitProcess(0)
        }

        private fun write(file: File): String {
            val content = FloatArray(50_000)
            var writes = 0
            println(READY)
            val waiting = thread(isDaemon = true) { System.`in`.read() }
            while (waiting.isAlive) {
                StateFile.write(file, content, ByteArray(32))
                writes++
            }
            return "written $writes"
        }

        private fun waitForEnd() {
            println(READY)
            System.`in`.read()
        }
    }
}
