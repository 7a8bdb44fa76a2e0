package org.tinytl

import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.tensorflow.lite.Interpreter
import org.tinytl.natives.NativeBridge
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** Habits of `org.tensorflow.lite.Interpreter` that the library stands on. */
class LiteRtInterpreterTest {
    private val model =
        Golden.file("model_float32.tflite").readBytes().let {
            ByteBuffer.allocateDirect(it.size).order(ByteOrder.nativeOrder()).put(it)
        }

    init {
        NativeBridge.install()
    }

    @Test
    fun `a signature without inputs runs, though the interpreter refuses an empty map`() {
        val restored = ByteBuffer.allocateDirect(4).order(ByteOrder.nativeOrder())
        Interpreter(model).use { interpreter ->
            assertThrows(IllegalArgumentException::class.java) {
                interpreter.runSignature(emptyMap(), mapOf<String, Any>("restored" to restored), "reset")
            }
        }
        LiteRtInterpreter(model, 1, false).use { it.run("reset", emptyMap(), mapOf("restored" to restored)) }
        assertEquals(1, restored.getInt(0))
    }

    @Test
    fun `buffers are used from their first byte, whatever their position`() {
        LiteRtInterpreter(model, 1, false).use { runtime ->
            val image = ByteBuffer.allocateDirect(64 * 64 * 3).order(ByteOrder.nativeOrder())
            val logits = ByteBuffer.allocateDirect(20).order(ByteOrder.nativeOrder())
            repeat(image.capacity()) { image.put(it.toByte()) }
            runtime.run("infer", mapOf("image" to image), mapOf("logits" to logits))
            val first = logits.getFloat(0)
            logits.position(8)
            logits.putFloat(0, 0f)
            runtime.run("infer", mapOf("image" to image), mapOf("logits" to logits))
            assertEquals(first, logits.getFloat(0), 0f)
            assertEquals(0, logits.position())
        }
    }

    @Test
    fun `what the interpreter refuses is named`() {
        LiteRtInterpreter(model, 1, false).use { runtime ->
            refused("TensorFlow Lite to run the signature fly") { runtime.run("fly", emptyMap(), emptyMap()) }
            val short = ByteBuffer.allocateDirect(5).order(ByteOrder.nativeOrder())
            refused("run the signature infer", "5 bytes") { runtime.run("infer", mapOf("image" to short), emptyMap()) }
        }
    }

    @Test
    fun `the signatures are the manifest's`() {
        val manifest = Manifest.read(Golden.file("model_float32.manifest.json"))
        LiteRtInterpreter(model, 1, false).use { assertEquals(manifest.signatures, it.signatures) }
        assertTrue(
            manifest.signatures
                .getValue("save")
                .inputs
                .isEmpty(),
        )
    }
}
