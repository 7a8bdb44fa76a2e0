package org.tinytl

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import java.io.File
import java.nio.file.Files
import java.util.concurrent.CancellationException
import java.util.concurrent.CountDownLatch
import kotlin.concurrent.thread

/** The files beside a state file: their names, and who may write them. */
class RunFilesTest {
    @get:Rule
    val folder = TemporaryFolder()

    private val runtime = ScriptedRuntime(ScriptedRuntime.manifest())
    private val model = ScriptedRuntime.open(runtime)
    private val photos = List(4) { Example(Flat(it), "disk") }
    private val settings = TrainerSettings(epochs = 2, saveEvery = 1)

    @Test
    fun `a second run of this process is refused at once, and the first ends`() {
        val file = File(folder.root, "mine.tinytl").apply { writeText("old") }
        val (begun, goOn) = List(2) { CountDownLatch(1) }
        val listener =
            listener {
                begun.countDown()
                goOn.await()
            }
        var result: TrainerResult? = null
        val first = thread { result = Trainer(model, photos, photos, settings, file, listener).run() }
        begun.await()
        val link = File(folder.root, "link.tinytl")
        Files.createSymbolicLink(link.toPath(), file.toPath())
        val other = ScriptedRuntime(ScriptedRuntime.manifest())
        for (same in listOf(file, File(folder.root, "../${folder.root.name}/mine.tinytl"), link)) {
            val second = Trainer(ScriptedRuntime.open(other), photos, photos, settings, same)
            refused("mine.tinytl is in use by another run", "wait for it to end") { second.run() }
            refused("in use by another run") { second.resume() }
            refused("in use by another run") { Trainer.discard(same) }
        }
        assertEquals(0, other.calls)
        // Another file is free, also while the process knows of the first.
        Trainer(ScriptedRuntime.open(other), photos, photos, settings, File(folder.root, "other.tinytl")).run()
        // What a refused run has closed is no lock of the first.
        assertEquals("InputException", OtherProcess.start("try", file).end())
        goOn.countDown()
        first.join()
        assertEquals(4, checkNotNull(result).steps)
        Trainer(model, photos, photos, settings, file).run()
    }

    @Test
    fun `a run is refused while another process writes the state file`() {
        val file = File(folder.root, "mine.tinytl").apply { writeText("old") }
        val process = OtherProcess.start("lock", file)
        refused("in use by another run", "wait for it to end") { Trainer(model, photos, photos, settings, file).run() }
        assertEquals(0, runtime.calls)
        assertEquals("old", file.readText())
        process.kill() // the system gives up its lock
        Trainer(model, photos, photos, settings, file).run()
        val again = OtherProcess.start("lock", file)
        refused("in use by another run") { Trainer(model, photos, photos, settings, file).run() }
        assertEquals("unlocked", again.end())
        Trainer(model, photos, photos, settings, file).run()
    }

    @Test
    fun `a run that ends in any way gives the lock up`() {
        val file = File(folder.root, "mine.tinytl")
        lateinit var trainer: Trainer
        trainer = Trainer(model, photos, photos, settings, file, listener { trainer.cancel() })
        assertThrows(CancellationException::class.java) { trainer.run() }
        runtime.steps = { TrainResult(1f, 1f, false) }
        assertThrows(TrainingDivergedException::class.java) { Trainer(model, photos, photos, settings, file).run() }
        refused("to resume") { Trainer(model, photos, photos, settings, file).resume() }
        runtime.steps = { TrainResult(1f, 1f, true) }
        Trainer(model, photos, photos, settings, file).run()
    }

    @Test
    fun `a name that leaves no room for the files beside it is refused before any work`() {
        val long = ".progress.json".length
        for (name in listOf("x".repeat(255 - long - 7), "é".repeat((255 - long - 7) / 2))) {
            Trainer(model, photos, photos, settings, File(folder.root, "$name.tinytl")).run()
        }
        val calls = runtime.calls
        for (name in listOf("x".repeat(255 - long - 6), "x".repeat(248), "é".repeat(121))) {
            val file = File(folder.root, "$name.tinytl")
            val before = folder.root.list()?.toSet()
            refused(
                "up to 14 characters longer",
                "shorter name",
            ) { Trainer(model, photos, photos, settings, file).run() }
            assertEquals(before, folder.root.list()?.toSet())
        }
        assertEquals(calls, runtime.calls)
    }

    @Test
    fun `a path that cannot be written is refused before any work`() {
        val below = File(folder.newFile(), "mine.tinytl")
        val taken = folder.newFolder("mine.tinytl")
        for (file in listOf(below, taken)) {
            refused("expected to write") { Trainer(model, photos, photos, settings, file).run() }
        }
        assertEquals(0, runtime.calls)
        val deep = File(folder.root, "a/b/mine.tinytl")
        Trainer(model, photos, photos, settings, deep).run()
        assertTrue(deep.exists())
    }

    @Test
    fun `what a stopped run left is discarded, and the state stays`() {
        val file = File(folder.root, "mine.tinytl")
        Trainer(model, photos, photos, settings, file).run()
        val content = file.readBytes()
        lateinit var trainer: Trainer
        trainer = Trainer(model, photos, photos, settings, file, listener { trainer.cancel() })
        assertThrows(CancellationException::class.java) { trainer.run() }
        assertTrue(trainer.canResume)
        Trainer.discard(file)
        assertFalse(trainer.canResume)
        assertArrayEquals(content, file.readBytes())
        assertEquals(setOf("mine.tinytl", "mine.tinytl.lock"), folder.root.list()?.toSet())
    }

    private fun listener(action: () -> Unit) =
        object : TrainerListener {
            override fun onStep(
                step: Int,
                totalSteps: Int,
                result: TrainResult,
            ) = action()
        }
}
