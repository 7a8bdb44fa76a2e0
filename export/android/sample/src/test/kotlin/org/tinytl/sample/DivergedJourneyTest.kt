package org.tinytl.sample

import android.app.job.JobParameters
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import org.robolectric.shadow.api.Shadow
import org.tinytl.Manifest
import org.tinytl.ModelTestRunner
import org.tinytl.TinyTlModel
import java.io.File
import java.nio.ByteBuffer

/** What a user sees of a model whose rate is far too high. */
@RunWith(ModelTestRunner::class)
@Config(sdk = [34], manifest = Config.NONE, application = DivergedJourneyTest.WildApplication::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class DivergedJourneyTest : Journey() {
    @Test
    fun `a training that diverges leaves the model as it was and says so`() {
        addClassWithPhotos("a", "leaf")
        addClassWithPhotos("b", "disk")
        val exported = state()
        click(Strings.TRAIN)
        settle()
        check(exported)
        click(Strings.SAVE) // what was learned by other means stays
        settle()
        click(Strings.RESTORE)
        settle()
        val file = File(application.filesDir, "mine.tinytl")
        val content = file.readBytes()
        val job = Robolectric.buildService(SampleTrainingJob::class.java).create().get()
        assertTrue(job.onStartJob(Shadow.newInstanceOf(JobParameters::class.java)))
        settle { "diverged" in message() }
        settle()
        check(exported)
        assertArrayEquals(content, file.readBytes())
    }

    private fun check(before: FloatArray) {
        assertTrue(message(), message().startsWith("The model was restored: the training has diverged"))
        assertArrayEquals(before, state(), 0f)
        assertFalse(File(application.filesDir, "mine.tinytl.progress.json").exists())
    }

    /** Has a manifest with a rate of 1e30. */
    class WildApplication : GoldenApplication() {
        override fun openModel(): TinyTlModel {
            val content = File(Journey.GOLDEN, "model_float32.tflite").readBytes()
            val text = File(Journey.GOLDEN, "model_float32.manifest.json").readText()
            val wild = text.replace(Regex("\"learning_rate\": [0-9.e-]+"), "\"learning_rate\": 1e30")
            val model = ByteBuffer.allocateDirect(content.size).put(content)
            return TinyTlModel.open(model, Manifest.parse(wild), threads = 1)
        }
    }
}
