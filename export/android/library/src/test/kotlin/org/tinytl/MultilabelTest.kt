package org.tinytl

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import java.nio.ByteBuffer
import kotlin.math.exp
import kotlin.math.ln

/** A model of several attributes; there is no golden one, so that the runtime is one that remembers. */
class MultilabelTest {
    private val runtime = Remembering()
    private val model = open(runtime)
    private val photo = RgbImage(64, 64, ByteArray(64 * 64 * 3))
    private val batch = List(4) { photo.pixels }

    @Test
    fun `attributes go to the runtime, one image after the other`() {
        val attributes = FloatArray(20) { it % 3 / 2f }
        val result = model.train(batch, attributes, 0.5f)
        assertArrayEquals(attributes, runtime.label, 0f)
        assertEquals(0.5f, runtime.rate, 0f)
        assertEquals(TrainResult(loss = 2.5f, accuracy = 0.75f, applied = true), result)
    }

    @Test
    fun `wrong attributes are refused before anything runs`() {
        refused("FloatArray") { model.train(batch, IntArray(4), 0.5f) }
        refused("expected 20 numbers", "got 4") { model.train(batch, FloatArray(4), 0.5f) }
        for (bad in listOf(-0.1f, 1.1f, Float.NaN)) {
            refused("0 to 1", "got $bad") { model.train(batch, FloatArray(20) { bad }, 0.5f) }
        }
        assertEquals(0, runtime.calls)
    }

    @Test
    fun `a trainer gives a number for each attribute`() {
        val image =
            object : ImageSource {
                override val name = "photo"

                override fun read(shortSide: Int) = photo
            }
        val examples = listOf(Example(image, setOf("disk", "leaf")), Example(image, emptySet()))
        val (training, heldOut) = Example.holdOut(examples, model.task)
        assertEquals(listOf(1, 1), listOf(training.size, heldOut.size))
        val result = Trainer(model, training, heldOut, TrainerSettings(epochs = 1)).run()
        assertArrayEquals(FloatArray(20) { if (it % 5 == 1 || it % 5 == 3) 1f else 0f }, runtime.label, 0f)
        // The logits are 0 to 4: the first is right, and the loss is that of five sigmoids.
        assertEquals(0.2, result.before.accuracy, 1e-9)
        assertEquals((0..4).sumOf { ln(1 + exp(it.toDouble())) } / 5, result.before.loss, 1e-9)
    }

    private fun open(runtime: Runtime): TinyTlModel {
        val text = Golden.file("model_float32.manifest.json").readText()
        val content = ByteBuffer.allocateDirect(8)
        val sha = Fingerprint.hex(Fingerprint.of(content))
        val changed =
            text
                .replace("\"classification\"", "\"multilabel\"")
                .replace(Regex("\"sha256\": \"[0-9a-f]*\""), "\"sha256\": \"$sha\"")
        return TinyTlModel.open(content, Manifest.parse(changed)) { _, _, _ -> runtime }
    }

    private class Remembering : Runtime {
        var label = FloatArray(0)
        var rate = 0f
        var calls = 0
        override val signatures: Map<String, SignatureSpec>

        init {
            val manifest = Manifest.read(Golden.file("model_float32.manifest.json"))
            val train = manifest.signatures.getValue("train")
            val label = "label" to TensorSpec(TensorType.FLOAT32, listOf(4, 5))
            signatures = manifest.signatures + ("train" to train.copy(inputs = train.inputs + label))
        }

        override fun run(
            signature: String,
            inputs: Map<String, ByteBuffer>,
            outputs: Map<String, ByteBuffer>,
        ) {
            calls++
            if (signature == "train") {
                label = FloatArray(20) { inputs.getValue("label").getFloat(4 * it) }
                rate = inputs.getValue("learning_rate").getFloat(0)
                outputs.getValue("loss").putFloat(0, 2.5f)
                outputs.getValue("accuracy").putFloat(0, 0.75f)
                outputs.getValue("applied").putInt(0, 1)
            } else {
                assertTrue(signature, signature == "infer")
                repeat(5) { outputs.getValue("logits").putFloat(4 * it, it.toFloat()) }
            }
        }

        override fun close() = Unit
    }
}
