package org.tinytl

import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.tinytl.natives.NativeBridge
import java.nio.ByteBuffer

/** A trainer follows each setting of a manifest in which all of them differ from the defaults. */
class SettingsTest {
    private val golden = Golden.json("settings.json")
    private val manifest = Manifest.read(Golden.file("model_settings.manifest.json"))
    private val photos = golden.getJSONArray("photos").objects().associateBy { it.getString("photo") }
    private val rates = ArrayList<Float>()
    private val steps = ArrayList<TrainResult>()
    private val model: TinyTlModel

    init {
        NativeBridge.install()
        val content = Golden.file(golden.getString("model")).readBytes()
        val buffer = ByteBuffer.allocateDirect(content.size).put(content)
        model =
            TinyTlModel.open(buffer, manifest, threads = 1) { bytes, threads, xnnpack ->
                Watched(LiteRtInterpreter(bytes, threads, xnnpack))
            }
    }

    @Test
    fun `trainings by the manifest are those of other clients`() {
        assertEquals(false, model.xnnpack)
        val heldOut = strings(golden, "held_out").map(::example)
        val runs = golden.getJSONArray("runs").objects()
        assertEquals(listOf(4, 2), runs.map { it.getJSONArray("photos").length() })
        for (run in runs) {
            model.reset()
            rates.clear()
            steps.clear()
            val settings = TrainerSettings(epochs = golden.getInt("epochs"), seed = golden.getLong("seed"))
            val training = strings(run, "photos").map(::example)
            val result = Trainer(model, training, heldOut, settings, null, Listener()).run()
            val expected = run.getJSONArray("steps").objects()
            assertEquals(expected.size, rates.size)
            expected.forEachIndexed { index, step ->
                assertNear("rate", step.getDouble("rate"), rates[index].toDouble())
                val figures = step.getJSONObject(KEY)
                assertNear("loss", figures.getDouble("loss"), steps[index].loss.toDouble())
            }
            assertFigures(run.getJSONObject("before").getJSONObject(KEY), checkNotNull(result.before))
            assertFigures(run.getJSONObject("after").getJSONObject(KEY), checkNotNull(result.after))
        }
    }

    @Test
    fun `the manifest's seed holds out the golden photos`() {
        val split = Example.holdOut(photos.keys.map(::example), manifest)
        val expected = photos.values.filter { it.getBoolean("held_out_by_content") }.map { it.getString("photo") }
        assertTrue("$expected", expected.isNotEmpty())
        assertEquals(expected, split.heldOut.map { it.image.name })
        assertTrue("${split.warnings}", split.warnings.none { "older" in it || "version" in it })
    }

    private fun assertFigures(
        expected: JSONObject,
        actual: EvaluateResult,
    ) {
        assertNear("loss", expected.getDouble("loss"), actual.loss)
        assertEquals(expected.getDouble("accuracy"), actual.accuracy, 1e-9)
        assertEquals(expected.getDouble("balanced_accuracy"), checkNotNull(actual.balancedAccuracy), 1e-9)
        val classes = expected.getJSONArray("classes").objects()
        assertEquals(classes.map { it.getString("name") }, actual.classes.map { it.name })
        assertEquals(classes.map { it.getInt("images") }, actual.classes.map { it.positives })
        assertEquals(classes.map { it.getInt("right") }, actual.classes.map { it.truePositives })
        val recalls = classes.map { if (it.isNull("recall")) null else it.getDouble("recall") }
        assertEquals(recalls, actual.classes.map { it.recall })
    }

    private fun assertNear(
        what: String,
        expected: Double,
        actual: Double,
    ) {
        val tolerance = golden.getJSONObject("tolerances").getDouble(what)
        assertEquals(what, expected, actual, tolerance * expected)
    }

    private fun example(name: String): Example {
        val decoded = Golden.file(photos.getValue(name).getString("decoded")).readBytes()
        val size =
            Golden
                .json("pixels.json")
                .getJSONArray("photos")
                .objects()
                .single { it.getString("photo") == name }
        val (height, width) = size.getJSONArray("size").ints()
        val source =
            object : ImageSource {
                override val name = name

                override fun read(shortSide: Int) = Pixels.shrink(RgbImage(width, height, decoded), shortSide)

                override fun digest() = Photo.of(Golden.file("photos/$name")).digest()
            }
        return Example(source, name.substringBefore("/"))
    }

    private fun strings(
        values: JSONObject,
        name: String,
    ): List<String> = values.getJSONArray(name).let { list -> List(list.length()) { list.getString(it) } }

    private inner class Listener : TrainerListener {
        override fun onStep(
            step: Int,
            totalSteps: Int,
            result: TrainResult,
        ) {
            steps += result
        }
    }

    /** Remembers the rates that the runtime is given. */
    private inner class Watched(
        private val runtime: Runtime,
    ) : Runtime by runtime {
        override fun run(
            signature: String,
            inputs: Map<String, ByteBuffer>,
            outputs: Map<String, ByteBuffer>,
        ) {
            inputs["learning_rate"]?.let { rates += it.getFloat(0) }
            runtime.run(signature, inputs, outputs)
        }
    }

    private companion object {
        const val KEY = "without_xnnpack"
    }
}
