package org.tinytl

import java.io.Closeable
import java.nio.ByteBuffer

/**
 * Runs the signatures of a `.tflite`.
 *
 * One thread at a time may use it; [TinyTlModel] sees to that.
 */
public interface Runtime : Closeable {
    /** The signatures of the file, by name. */
    public val signatures: Map<String, SignatureSpec>

    /**
     * Runs a signature.
     *
     * @param signature its name
     * @param inputs all inputs by name: direct buffers in native order with the capacity of the tensor. They are
     *   read from their first byte, independent of their position.
     * @param outputs the requested outputs, by name: buffers of the same kind, which are written from their first
     *   byte
     * @throws InputException if the runtime refuses
     */
    public fun run(
        signature: String,
        inputs: Map<String, ByteBuffer>,
        outputs: Map<String, ByteBuffer>,
    )
}
