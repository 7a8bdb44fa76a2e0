package org.tinytl

import java.io.Closeable
import java.nio.ByteBuffer

/**
 * What runs the signatures of a `.tflite`.
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
     * @param inputs all inputs by name: direct buffers in native order, whose capacity is the size of the tensor. They
     *   are read from their first byte, whatever their position.
     * @param outputs the outputs that are wanted, by name: buffers of the same kind, which are written from their first
     *   byte
     * @throws InputException if the runtime refuses
     */
    public fun run(
        signature: String,
        inputs: Map<String, ByteBuffer>,
        outputs: Map<String, ByteBuffer>,
    )
}
