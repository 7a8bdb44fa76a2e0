package org.tinytl.natives

import org.bytedeco.javacpp.BytePointer
import org.bytedeco.tensorflowlite.TfLiteIntArray
import org.bytedeco.tensorflowlite.TfLiteTensor
import org.tinytl.natives.NativeSignatureRunnerWrapperNatives.Runner
import java.nio.Buffer
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** What `tensor_jni.cc` does; what no test needs is not here. */
object TensorImplNatives {
    private class Tensor(
        val index: Int,
        val get: () -> TfLiteTensor,
    )

    @JvmStatic
    fun create(
        interpreter: Long,
        index: Int,
        subgraph: Int,
    ): Long {
        val owner = NativeInterpreterWrapperNatives.interpreter(interpreter)
        return Handles.add(Tensor(index) { owner.tensor(index) })
    }

    @JvmStatic
    fun createSignatureInputTensor(
        runner: Long,
        name: String,
    ): Long {
        val owner = Handles.get<Runner>(runner).runner
        return if (owner.input_tensor(name) == null) -1 else Handles.add(Tensor(0) { owner.input_tensor(name) })
    }

    @JvmStatic
    fun createSignatureOutputTensor(
        runner: Long,
        name: String,
    ): Long {
        val owner = Handles.get<Runner>(runner).runner
        return if (owner.output_tensor(name) == null) -1 else Handles.add(Tensor(0) { owner.output_tensor(name) })
    }

    @JvmStatic
    fun delete(handle: Long) {
        Handles.remove(handle)
    }

    @JvmStatic
    fun buffer(handle: Long): ByteBuffer {
        val tensor = tensor(handle)
        val data = tensor.data().data()
        NativeInterpreterWrapperNatives.requireArgument(data != null, "Tensor hasn't been allocated.")
        return BytePointer(data).capacity(tensor.bytes()).asByteBuffer()
    }

    @JvmStatic
    fun writeDirectBuffer(
        handle: Long,
        source: Buffer,
    ) {
        val bytes = (source as ByteBuffer).duplicate()
        bytes.clear()
        buffer(handle).order(ByteOrder.nativeOrder()).put(bytes)
    }

    @JvmStatic
    fun dtype(handle: Long): Int = tensor(handle).type()

    @JvmStatic
    fun shape(handle: Long): IntArray = sizes(tensor(handle).dims())

    @JvmStatic
    fun shapeSignature(handle: Long): IntArray {
        val tensor = tensor(handle)
        val signature = tensor.dims_signature()
        return sizes(if (signature == null || signature.size() == 0) tensor.dims() else signature)
    }

    @JvmStatic
    fun numBytes(handle: Long): Int = tensor(handle).bytes().toInt()

    @JvmStatic
    fun hasDelegateBufferHandle(handle: Long): Boolean = false

    @JvmStatic
    fun index(handle: Long): Int = Handles.get<Tensor>(handle).index

    @JvmStatic
    fun name(handle: Long): String = tensor(handle).name().string

    @JvmStatic
    fun quantizationScale(handle: Long): Float = tensor(handle).params().scale()

    @JvmStatic
    fun quantizationZeroPoint(handle: Long): Int = tensor(handle).params().zero_point()

    private fun tensor(handle: Long): TfLiteTensor = Handles.get<Tensor>(handle).get()

    private fun sizes(array: TfLiteIntArray): IntArray = IntArray(array.size()) { array.data(it) }
}
