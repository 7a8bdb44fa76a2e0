package org.tinytl

import org.tensorflow.lite.DataType
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.Tensor
import java.nio.ByteBuffer
import java.util.AbstractMap

/**
 * The runtime on Android: `org.tensorflow.lite.Interpreter` from `com.google.ai.edge.litert:litert` or
 * `org.tensorflow:tensorflow-lite`.
 *
 * @param model bytes of the `.tflite`, a direct buffer in native order that must not change while the interpreter is in
 *   use
 * @param threads number of threads of the kernels
 * @param xnnpack whether to use XNNPACK, which is faster and needs more memory
 * @throws InputException if the interpreter refuses the file
 */
public class LiteRtInterpreter(
    model: ByteBuffer,
    threads: Int,
    xnnpack: Boolean,
) : Runtime {
    private val interpreter: Interpreter =
        refusing("load the model") {
            Interpreter(model, Interpreter.Options().setNumThreads(threads).setUseXNNPACK(xnnpack))
        }

    override val signatures: Map<String, SignatureSpec> =
        try {
            refusing("read the signatures of the model") {
                interpreter.signatureKeys.associateWith { signature ->
                    SignatureSpec(
                        interpreter.getSignatureInputs(signature).associateWith {
                            spec(interpreter.getInputTensorFromSignature(it, signature))
                        },
                        interpreter.getSignatureOutputs(signature).associateWith {
                            spec(interpreter.getOutputTensorFromSignature(it, signature))
                        },
                    )
                }
            }
        } catch (error: InputException) {
            interpreter.close()
            throw error
        }

    override fun run(
        signature: String,
        inputs: Map<String, ByteBuffer>,
        outputs: Map<String, ByteBuffer>,
    ) {
        (inputs.values + outputs.values).forEach { it.clear() }
        refusing("run the signature $signature") {
            interpreter.runSignature(inputs.ifEmpty { NoInputs }, outputs, signature)
        }
        outputs.values.forEach { it.clear() }
    }

    override fun close() {
        interpreter.close()
    }

    private fun spec(tensor: Tensor): TensorSpec {
        val type =
            when (tensor.dataType()) {
                DataType.UINT8 -> TensorType.UINT8
                DataType.INT32 -> TensorType.INT32
                DataType.FLOAT32 -> TensorType.FLOAT32
                else -> null
            }
        return TensorSpec(type, tensor.shape().toList())
    }

    private inline fun <T> refusing(
        action: String,
        block: () -> T,
    ): T =
        try {
            block()
        } catch (error: IllegalArgumentException) {
            throw refusal(action, error)
        } catch (error: IllegalStateException) {
            throw refusal(action, error)
        }

    private fun refusal(
        action: String,
        error: RuntimeException,
    ): InputException {
        val said =
            error.message
                .orEmpty()
                .replace(Regex("\\s+"), " ")
                .take(MESSAGE_LENGTH)
        return InputException(
            "expected TensorFlow Lite to $action, got: $said; use a newer runtime, or export the model again",
            error,
        )
    }

    /**
     * The empty inputs of `save` and `reset`.
     *
     * `Interpreter.runSignature` refuses a map if `isEmpty` is true; this map has no inputs, and `isEmpty` is false.
     */
    private object NoInputs : AbstractMap<String, Any>() {
        override val entries: MutableSet<MutableMap.MutableEntry<String, Any>> = HashSet()

        override fun isEmpty(): Boolean = false
    }

    private companion object {
        const val MESSAGE_LENGTH = 300
    }
}
