package org.tinytl

import java.nio.ByteBuffer

/** Creates the [Runtime] of a model; the default of [TinyTlModel.open] is [LiteRtInterpreter]. */
public fun interface RuntimeFactory {
    /**
     * Loads a `.tflite`.
     *
     * @param model bytes of the `.tflite`, a direct buffer in native order that must not change while the runtime is in
     *   use
     * @param threads number of threads of the kernels
     * @param xnnpack whether to use XNNPACK
     * @throws InputException if the runtime refuses the file
     */
    public fun create(
        model: ByteBuffer,
        threads: Int,
        xnnpack: Boolean,
    ): Runtime
}
