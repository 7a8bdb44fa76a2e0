package org.tinytl

import java.nio.ByteBuffer

/** Makes the [Runtime] of a model; the default of [TinyTlModel.open] is [LiteRtInterpreter]. */
public fun interface RuntimeFactory {
    /**
     * Loads a `.tflite`.
     *
     * @param model its bytes, a direct buffer in native order that stays as it is while the runtime lives
     * @param threads threads of the kernels
     * @param xnnpack whether to use XNNPACK
     * @throws InputException if the runtime refuses the file
     */
    public fun create(
        model: ByteBuffer,
        threads: Int,
        xnnpack: Boolean,
    ): Runtime
}
