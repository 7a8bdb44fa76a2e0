package org.tinytl.natives

import org.bytedeco.javacpp.BytePointer
import org.bytedeco.javacpp.PointerPointer
import org.bytedeco.tensorflowlite.Interpreter
import org.bytedeco.tensorflowlite.SignatureRunner
import org.tinytl.natives.NativeInterpreterWrapperNatives.requireArgument

/** What `nativesignaturerunner_jni.cc` does; what no test needs is not here. */
object NativeSignatureRunnerWrapperNatives {
    internal class Runner(
        val interpreter: Interpreter,
        val runner: SignatureRunner,
        val key: String,
    )

    @JvmStatic
    fun nativeGetSignatureRunner(
        interpreter: Long,
        key: String,
    ): Long {
        val owner = NativeInterpreterWrapperNatives.interpreter(interpreter)
        val runner = owner.GetSignatureRunner(key) ?: return -1
        return Handles.add(Runner(owner, runner, key))
    }

    @JvmStatic
    fun nativeGetSubgraphIndex(runner: Long): Int =
        Handles.get<Runner>(runner).let { it.interpreter.GetSubgraphIndexFromSignature(it.key) }

    @JvmStatic
    fun nativeInputNames(runner: Long): Array<String> = runner(runner).let { names(it.input_names(), it.input_size()) }

    @JvmStatic
    fun nativeOutputNames(runner: Long): Array<String> =
        runner(runner).let { names(it.output_names(), it.output_size()) }

    @JvmStatic
    fun nativeGetInputIndex(
        runner: Long,
        name: String,
    ): Int {
        val owner = Handles.get<Runner>(runner)
        val tensor = owner.interpreter.signature_inputs(owner.key).get(name)
        val inputs = owner.interpreter.inputs()
        return (0 until inputs.limit()).indexOfFirst { inputs.get(it) == tensor }
    }

    @JvmStatic
    fun nativeGetOutputIndex(
        runner: Long,
        name: String,
    ): Int {
        val owner = Handles.get<Runner>(runner)
        val tensor = owner.interpreter.signature_outputs(owner.key).get(name)
        val outputs = owner.interpreter.outputs()
        return (0 until outputs.limit()).indexOfFirst { outputs.get(it) == tensor }
    }

    @JvmStatic
    fun nativeAllocateTensors(
        runner: Long,
        errors: Long,
    ) {
        requireArgument(runner(runner).AllocateTensors() == 0, "Unexpected failure when preparing tensors")
    }

    @JvmStatic
    fun nativeInvoke(
        runner: Long,
        errors: Long,
    ) {
        requireArgument(runner(runner).Invoke() == 0, "Failed to run on the given Interpreter")
    }

    private fun runner(handle: Long): SignatureRunner = Handles.get<Runner>(handle).runner

    private fun names(
        pointers: PointerPointer<*>?,
        size: Long,
    ): Array<String> = Array(size.toInt()) { BytePointer(checkNotNull(pointers).get(it.toLong())).string }
}
