package org.tinytl

import java.io.Closeable
import java.nio.ByteBuffer

/**
 * Runs the signatures of a `.tflite`.
 *
 * Only one thread at a time may use it; [TinyTlModel] ensures this.
 */
public interface Runtime : Closeable {
    /** The signatures of the file, by name. */
    public val signatures: Map<String, SignatureSpec>

    /**
     * Runs a signature.
     *
     * @param signature name of the signature
     * @param inputs all inputs by name: direct buffers in native order with the size of the tensor; they are read from
     *   the first byte, whatever their position
     * @param outputs the requested outputs by name: buffers of the same kind, which are written from the first byte
     * @throws InputException if the runtime fails
     */
    public fun run(
        signature: String,
        inputs: Map<String, ByteBuffer>,
        outputs: Map<String, ByteBuffer>,
    )
}
