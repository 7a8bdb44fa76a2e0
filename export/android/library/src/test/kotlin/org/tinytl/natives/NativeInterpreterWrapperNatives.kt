package org.tinytl.natives

import org.bytedeco.javacpp.BytePointer
import org.bytedeco.javacpp.Pointer
import org.bytedeco.tensorflowlite.BuiltinOpResolver
import org.bytedeco.tensorflowlite.BuiltinOpResolverWithoutDefaultDelegates
import org.bytedeco.tensorflowlite.FlatBufferModel
import org.bytedeco.tensorflowlite.Interpreter
import org.bytedeco.tensorflowlite.InterpreterBuilder
import java.nio.ByteBuffer

/** What `nativeinterpreterwrapper_jni.cc` does; what no test needs is not here. */
object NativeInterpreterWrapperNatives {
    /** What lives as long as an interpreter. */
    internal class Loaded(
        val interpreter: Interpreter,
        private val resolver: BuiltinOpResolver,
        private val builder: InterpreterBuilder,
    ) {
        fun close() {
            interpreter.close()
            builder.close()
            resolver.close()
        }
    }

    private class Model(
        val model: FlatBufferModel,
        private val bytes: BytePointer,
    ) {
        fun close() {
            model.close()
            bytes.close()
        }
    }

    @JvmStatic
    fun createErrorReporter(size: Int): Long = Handles.add("errors up to $size bytes")

    @JvmStatic
    fun createModelWithBuffer(
        buffer: ByteBuffer,
        errors: Long,
    ): Long {
        val bytes = BytePointer(buffer.duplicate().apply { clear() })
        val model = FlatBufferModel.VerifyAndBuildFromBuffer(bytes, buffer.capacity().toLong())
        requireArgument(model != null && !model.isNull, "ByteBuffer is not a valid TensorFlow Lite model flatbuffer")
        return Handles.add(Model(model, bytes))
    }

    @JvmStatic
    fun createInterpreter(
        model: Long,
        errors: Long,
        threads: Int,
        useXnnpack: Boolean,
        delegates: List<Long>,
    ): Long {
        check(delegates.isEmpty()) { "no test has a delegate" }
        val resolver = if (useXnnpack) BuiltinOpResolver() else BuiltinOpResolverWithoutDefaultDelegates()
        val builder = InterpreterBuilder(Handles.get<Model>(model).model, resolver)
        val interpreter = Interpreter(null as Pointer?)
        requireArgument(builder.apply(interpreter, threads) == 0, "Cannot create interpreter")
        return Handles.add(Loaded(interpreter, resolver, builder))
    }

    @JvmStatic
    fun allocateTensors(
        interpreter: Long,
        errors: Long,
    ): Long {
        requireArgument(interpreter(interpreter).AllocateTensors() == 0, "Unexpected failure when preparing tensors")
        return 0
    }

    @JvmStatic
    fun run(
        interpreter: Long,
        errors: Long,
    ) {
        requireArgument(interpreter(interpreter).Invoke() == 0, "Failed to run on the given Interpreter")
    }

    @JvmStatic
    fun hasUnresolvedFlexOp(interpreter: Long): Boolean = false

    @JvmStatic
    fun getInputCount(interpreter: Long): Int = interpreter(interpreter).inputs().limit().toInt()

    @JvmStatic
    fun getOutputCount(interpreter: Long): Int = interpreter(interpreter).outputs().limit().toInt()

    @JvmStatic
    fun getInputTensorIndex(
        interpreter: Long,
        index: Int,
    ): Int = interpreter(interpreter).inputs().get(index.toLong())

    @JvmStatic
    fun getOutputTensorIndex(
        interpreter: Long,
        index: Int,
    ): Int = interpreter(interpreter).outputs().get(index.toLong())

    @JvmStatic
    fun getSignatureKeys(interpreter: Long): Array<String> {
        val keys = interpreter(interpreter).signature_keys()
        return Array(keys.size().toInt()) { keys.get(it.toLong()).string }
    }

    @JvmStatic
    fun deleteCancellationFlag(flag: Long): Long = 0

    @JvmStatic
    fun delete(
        errors: Long,
        model: Long,
        interpreter: Long,
    ) {
        (Handles.remove(interpreter) as? Loaded)?.close()
        (Handles.remove(model) as? Model)?.close()
        Handles.remove(errors)
    }

    internal fun interpreter(handle: Long): Interpreter = Handles.get<Loaded>(handle).interpreter

    internal fun requireArgument(
        isFine: Boolean,
        problem: String,
    ) = require(isFine) { "Internal error: $problem" }
}
