package org.tinytl

import java.io.InputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest

/** SHA-256 digests of `.tflite` files, of photos and arrays, and of the files of a run. */
internal object Fingerprint {
    private const val SHOWN_BYTES = 6
    private const val SHOWN = 80
    private val PATTERN = Regex("[0-9a-f]{64}")

    fun of(model: ByteBuffer): ByteArray {
        val bytes = model.duplicate()
        bytes.clear()
        return sha256().apply { update(bytes) }.digest()
    }

    fun of(content: ByteArray): ByteArray = sha256().digest(content)

    /** Returns the digest of numbers as little-endian float32. */
    fun of(numbers: FloatArray): ByteArray {
        val bytes = ByteBuffer.allocate(Float.SIZE_BYTES * numbers.size).order(ByteOrder.LITTLE_ENDIAN)
        bytes.asFloatBuffer().put(numbers)
        return of(bytes.array())
    }

    fun of(stream: InputStream): ByteArray {
        val sha256 = sha256()
        val buffer = ByteArray(DEFAULT_BUFFER_SIZE)
        while (true) {
            val count = stream.read(buffer)
            if (count < 0) {
                return sha256.digest()
            }
            sha256.update(buffer, 0, count)
        }
    }

    fun hex(fingerprint: ByteArray): String = fingerprint.joinToString("") { "%02x".format(it) }

    /** Returns the bytes of the fingerprint in a manifest. */
    fun bytes(manifest: Manifest): ByteArray {
        val digits = manifest.sha256
        if (!PATTERN.matches(digits)) {
            throw InputException(
                "expected a manifest with 64 hexadecimal digits as sha256, got ${digits.take(SHOWN)}; export the " +
                    "model again",
            )
        }
        return digits.chunked(2) { it.toString().toInt(radix = 16).toByte() }.toByteArray()
    }

    private fun sha256() = MessageDigest.getInstance("SHA-256")

    fun short(fingerprint: ByteArray): String = hex(fingerprint.copyOf(SHOWN_BYTES)) + "..."
}
