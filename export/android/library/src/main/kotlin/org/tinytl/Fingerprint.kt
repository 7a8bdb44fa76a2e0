package org.tinytl

import java.nio.ByteBuffer
import java.security.MessageDigest

/** SHA-256: of a `.tflite`, to which manifests and state files belong, and of what a run depends on. */
internal object Fingerprint {
    private const val SHOWN_BYTES = 6

    fun of(model: ByteBuffer): ByteArray {
        val bytes = model.duplicate()
        bytes.clear()
        return MessageDigest.getInstance("SHA-256").apply { update(bytes) }.digest()
    }

    fun of(text: String): ByteArray = MessageDigest.getInstance("SHA-256").digest(text.toByteArray())

    fun hex(fingerprint: ByteArray): String = fingerprint.joinToString("") { "%02x".format(it) }

    fun short(fingerprint: ByteArray): String = hex(fingerprint.copyOf(SHOWN_BYTES)) + "..."
}
