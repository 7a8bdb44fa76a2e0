package org.tinytl

import java.nio.ByteBuffer

/** An input of a model. */
internal sealed class ModelInput {
    /**
     * Checks the input before anything runs.
     *
     * @param manifest manifest of the model
     * @param index position in a batch; null for a single input
     * @throws InputException if the model takes a different kind, size or range
     */
    abstract fun check(
        manifest: Manifest,
        index: Int?,
    )

    /** Writes the input to [buffer] at its current position, and advances the position. */
    abstract fun put(buffer: ByteBuffer)

    /** An image: raw RGB values from 0 to 255, in rows from the top. */
    class Image(
        private val pixels: ByteArray,
    ) : ModelInput() {
        override fun check(
            manifest: Manifest,
            index: Int?,
        ) {
            manifest.array?.let {
                throw InputException(
                    "expected an array of ${it.shape}, since the model takes arrays, got the pixels of an image; " +
                        "pass a FloatArray",
                )
            }
            val size = manifest.inputSpec(1).bytes
            if (pixels.size != size) {
                throw InputException(
                    "expected ${index?.let { "image $it" } ?: "an image"} of $size bytes (${manifest.height} x " +
                        "${manifest.width} pixels of RGB), got ${pixels.size}; resize it with Pixels",
                )
            }
        }

        override fun put(buffer: ByteBuffer) {
            buffer.put(pixels)
        }
    }

    /** An array: float32, in row-major order. */
    class Array(
        private val numbers: FloatArray,
    ) : ModelInput() {
        override fun check(
            manifest: Manifest,
            index: Int?,
        ) {
            val array =
                manifest.array ?: throw InputException(
                    "expected ${manifest.height} x ${manifest.width} pixels of RGB, since the model takes images, " +
                        "got an array of numbers; pass a ByteArray, see Pixels",
                )
            array.check(index?.let { "array $it" } ?: "an array", numbers)
        }

        override fun put(buffer: ByteBuffer) {
            buffer.asFloatBuffer().put(numbers)
            buffer.position(buffer.position() + Float.SIZE_BYTES * numbers.size)
        }
    }
}
