package org.tinytl

import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Assert.fail
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import java.io.File
import java.util.Random
import java.util.concurrent.TimeUnit
import kotlin.concurrent.thread

/** Kills processes that train and save: no state is lost or torn. `-Dtinytl.kills=1000` kills more. */
class ProcessDeathTest {
    @get:Rule
    val folder = TemporaryFolder()

    private val kills = Integer.getInteger("tinytl.kills", 12)
    private val manifest = Manifest.read(Golden.file("model_float32.manifest.json"))

    @Test
    fun `what was saved before a kill is there after it`() {
        assertEquals("step", manifest.state.last().slot)
        val state = File(folder.root, "mine.tinytl")
        val random = Random(1)
        var steps = 0
        repeat(kills) {
            val printed = trainAndKill(state, random.nextInt(300).toLong())
            val saved = StateFile.read(state, fingerprint(), manifest.stateSize).last().toInt()
            assertTrue("$saved after $printed", saved == printed || saved == printed + 1)
            assertTrue("$saved after $steps", saved > steps)
            steps = saved
        }
        println("$kills processes killed, $steps steps")
    }

    /** Returns the last count of steps that the process printed before it was killed. */
    private fun trainAndKill(
        state: File,
        millis: Long,
    ): Int {
        val process =
            ProcessBuilder(
                File(System.getProperty("java.home"), "bin/java").path,
                "-Xshare:auto",
                "-XX:TieredStopAtLevel=1",
                "-Dtinytl.golden=${System.getProperty("tinytl.golden")}",
                "-cp",
                System.getProperty("surefire.test.class.path") ?: System.getProperty("java.class.path"),
                SavingProcess::class.java.name,
                state.path,
            ).redirectError(ProcessBuilder.Redirect.INHERIT).start()
        val lines = ArrayList<String>()
        val reader = thread { process.inputStream.bufferedReader().forEachLine { synchronized(lines) { lines += it } } }
        try {
            val until = System.nanoTime() + TimeUnit.MINUTES.toNanos(10)
            while (synchronized(lines) { lines.isEmpty() }) {
                if (!process.isAlive || System.nanoTime() > until) {
                    // A second of it is enough for a step: with less, the machine had other things to do.
                    val cpu =
                        process
                            .info()
                            .totalCpuDuration()
                            .map { it.toMillis() }
                            .orElse(0)
                    fail("the process takes no step in $cpu ms of CPU time: ${threads(process, lines)}")
                }
                Thread.sleep(1)
            }
            Thread.sleep(millis)
        } finally {
            process.toHandle().destroyForcibly() // Process.destroyForcibly would close what is still to be read
            process.waitFor()
        }
        reader.join()
        return lines.last { it.toIntOrNull() != null }.toInt()
    }

    /** What the threads of a process do that hangs. */
    private fun threads(
        process: Process,
        lines: List<String>,
    ): String {
        ProcessBuilder("kill", "-QUIT", process.pid().toString()).start().waitFor()
        Thread.sleep(1000)
        return synchronized(lines) { lines.joinToString("\n") }
    }

    private fun fingerprint() =
        manifest.sha256
            .chunked(2)
            .map { it.toInt(16).toByte() }
            .toByteArray()
}
