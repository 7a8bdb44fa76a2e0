package org.tinytl

import java.io.File
import java.io.IOException
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.zip.CRC32

/**
 * The `.tinytl` state file: the learned values of a model, without the model. All clients use the same format.
 *
 * `docs/formats.md` has its layout.
 */
public object StateFile {
    private const val VERSION = 1
    private const val WITH_NAMES = 2
    private const val FINGERPRINT_BYTES = 32
    private const val HEADER_BYTES = 48
    private const val CHECKSUM_BYTES = 4
    private const val UNSIGNED = 0xFFFF_FFFFL
    private const val REMEDY = "use another copy"
    private val magic = "TINYTL\r\n".toByteArray(Charsets.US_ASCII)

    /**
     * Writes a state file; a reader always sees the complete old or new file.
     *
     * @param file the file to write; an existing one is replaced
     * @param state the values; all must be finite
     * @param fingerprint SHA-256 of the model's file, 32 bytes
     * @param addedClasses names of the classes that were added on the device, in the order of their outputs; they are
     *   written unchanged, and without names the file has version 1
     * @throws InputException if the state is not finite, a name is invalid, or the file cannot be written; an old file
     *   is untouched
     */
    @JvmStatic
    @JvmOverloads
    public fun write(
        file: File,
        state: FloatArray,
        fingerprint: ByteArray,
        addedClasses: List<String> = emptyList(),
    ) {
        checkFingerprint(fingerprint)
        checkFinite(state, "cannot save $file")
        val names = ClassNames.encoded(addedClasses)
        val namesBytes = if (names.isEmpty()) 0 else Int.SIZE_BYTES + names.size
        val content = ByteArray(HEADER_BYTES + Float.SIZE_BYTES * state.size + namesBytes + CHECKSUM_BYTES)
        val buffer = ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN)
        buffer.put(magic)
        buffer.putInt(if (names.isEmpty()) VERSION else WITH_NAMES)
        buffer.put(fingerprint)
        buffer.putInt(state.size)
        state.forEach { buffer.putFloat(it) }
        if (names.isNotEmpty()) {
            buffer.putInt(names.size).put(names)
        }
        buffer.putInt(checksum(content).toInt())
        AtomicFile.write(file, content)
    }

    /**
     * Reads the values of a state file that must belong to a model; [readState] also reads the names of added classes.
     *
     * @param file the file to read
     * @param fingerprint SHA-256 of the model's file, 32 bytes
     * @param size number of values in the model's state
     * @throws InputException if the file cannot be read, is not a state file, is damaged, or belongs to another model
     */
    @JvmStatic
    public fun read(
        file: File,
        fingerprint: ByteArray,
        size: Int,
    ): FloatArray = readState(file, fingerprint, size).values

    /**
     * Reads a state file that must belong to a model.
     *
     * @param file the file to read
     * @param fingerprint SHA-256 of the model's file, 32 bytes
     * @param size number of values in the model's state
     * @throws InputException if the file cannot be read, is not a state file, is damaged, or belongs to another model
     */
    @JvmStatic
    public fun readState(
        file: File,
        fingerprint: ByteArray,
        size: Int,
    ): SavedState {
        checkFingerprint(fingerprint)
        val content =
            try {
                RandomAccessFile(file, "r").use { stream -> content(file, stream) }
            } catch (error: IOException) {
                throw InputException("expected a state file at $file, got: ${error.message}; check the path", error)
            }
        val buffer = ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN)
        val count = buffer.getInt(HEADER_BYTES - Int.SIZE_BYTES)
        val names = names(file, buffer, count)
        val sum = checksum(content)
        val written = buffer.getInt(content.size - CHECKSUM_BYTES).toLong() and UNSIGNED
        if (sum != written) {
            refuse("$file is damaged: expected the checksum ${hex(written)}, got ${hex(sum)}; $REMEDY")
        }
        val owner = content.copyOfRange(magic.size + Int.SIZE_BYTES, magic.size + Int.SIZE_BYTES + FINGERPRINT_BYTES)
        if (!owner.contentEquals(fingerprint)) {
            refuse(
                "$file belongs to another model: expected the fingerprint ${Fingerprint.short(fingerprint)}, got " +
                    "${Fingerprint.short(owner)}; open the model that it was saved from",
            )
        }
        if (count != size) {
            refuse("$file has $count values, expected $size; $REMEDY")
        }
        val added = parseNames(file, names)
        buffer.position(HEADER_BYTES)
        val state = FloatArray(count) { buffer.getFloat() }
        checkFinite(state, "cannot use $file")
        return SavedState(state, added)
    }

    /**
     * Moves a state to a new export of the same network, for example with another batch size or int8 kernels, as
     * `tinytl move-state` does: the new file has the same bytes.
     *
     * Variables are matched by name. The optimizer's slots restart, as after a reset.
     *
     * ```
     * StateFile.move(mine, Manifest.read(oldManifest), Manifest.read(newManifest), moved)
     * newModel.restore(moved)
     * ```
     *
     * @param file the state file of the old model
     * @param from manifest of the model that the state was saved from
     * @param to manifest of the new model
     * @param output the state file to write for the new model; an existing one is replaced
     * @throws InputException if the state is damaged or belongs to another model; if the models differ in their
     *   classes, their frozen weights or their trained variables; if the new model could not restore the state; or if
     *   [output] cannot be written
     */
    @JvmStatic
    public fun move(
        file: File,
        from: Manifest,
        to: Manifest,
        output: File,
    ) {
        val move = StateMove(from, to)
        move.checkModels()
        val saved = readState(file, Fingerprint.bytes(from), from.stateSize)
        write(output, move.values(saved, file), Fingerprint.bytes(to), saved.addedClasses)
    }

    /** Refuses a state that is not finite; [what] is the beginning of the error. */
    internal fun checkFinite(
        state: FloatArray,
        what: String,
    ) {
        val bad = state.indexOfFirst { it.isNaN() || it.isInfinite() }
        if (bad >= 0) {
            refuse(
                "$what: expected finite values, got ${state[bad]} at index $bad; reset the model and train with a " +
                    "lower learning rate",
            )
        }
    }

    /** Checks magic, version and length before it reads the complete file. */
    private fun content(
        file: File,
        stream: RandomAccessFile,
    ): ByteArray {
        val length = stream.length()
        val header = ByteArray(minOf(length, HEADER_BYTES.toLong()).toInt())
        stream.readFully(header)
        if (!header.copyOf(magic.size).contentEquals(magic)) {
            val shown = header.take(magic.size).joinToString(" ") { "%02x".format(it) }
            refuse(
                "$file is not a state file: expected it to begin with TINYTL, got the bytes [$shown]; check the path",
            )
        }
        if (header.size < HEADER_BYTES) {
            refuse("$file is cut short: expected $HEADER_BYTES bytes or more, got $length; $REMEDY")
        }
        val buffer = ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN)
        val version = buffer.getInt(magic.size).toLong() and UNSIGNED
        if (version != VERSION.toLong() && version != WITH_NAMES.toLong()) {
            refuse(
                "$file has format version $version, expected $VERSION or $WITH_NAMES; use the version of TinyTL that " +
                    "wrote it",
            )
        }
        val count = buffer.getInt(HEADER_BYTES - Int.SIZE_BYTES).toLong() and UNSIGNED
        val values = HEADER_BYTES + Float.SIZE_BYTES * count + CHECKSUM_BYTES
        val names =
            if (version ==
                WITH_NAMES.toLong()
            ) {
                1L + Int.SIZE_BYTES..ClassNames.MOST_BYTES_IN_ALL + Int.SIZE_BYTES
            } else {
                0L..0L
            }
        if (length - values !in names) {
            val expected = setOf(values + names.first, values + names.last).joinToString(" to ")
            refuse("$file is damaged: expected $expected bytes for $count values, got $length; $REMEDY")
        }
        if (length > Int.MAX_VALUE) {
            refuse("$file has $length bytes, expected at most 2^31 - 1; $REMEDY")
        }
        return header + ByteArray((length - HEADER_BYTES).toInt()).also { stream.readFully(it) }
    }

    /** Returns the bytes of the names; their length must fill the file. */
    private fun names(
        file: File,
        buffer: ByteBuffer,
        count: Int,
    ): ByteArray {
        if (buffer.getInt(magic.size) == VERSION) {
            return ByteArray(0)
        }
        val start = HEADER_BYTES + Float.SIZE_BYTES * count
        val size = buffer.getInt(start).toLong() and UNSIGNED
        val expected = start + Int.SIZE_BYTES + size + CHECKSUM_BYTES
        if (buffer.capacity().toLong() != expected) {
            refuse(
                "$file is damaged: expected $expected bytes for $count values and $size bytes of names, got " +
                    "${buffer.capacity()}; $REMEDY",
            )
        }
        val first = start + Int.SIZE_BYTES
        return buffer.array().copyOfRange(first, first + size.toInt())
    }

    private fun parseNames(
        file: File,
        names: ByteArray,
    ): List<String> {
        if (names.isEmpty()) {
            return emptyList()
        }
        return try {
            names.decodeToString(throwOnInvalidSequence = true).split('\n').also { ClassNames.check(it) }
        } catch (error: CharacterCodingException) {
            throw unusable(file, "they are not UTF-8", error)
        } catch (error: InputException) {
            throw unusable(file, error.message, error)
        }
    }

    /** Returns the error for a file with invalid names of added classes. */
    internal fun unusable(
        file: File,
        reason: String?,
        cause: Exception,
    ) = InputException("$file has names of added classes that cannot be used ($reason); $REMEDY", cause)

    private fun checkFingerprint(fingerprint: ByteArray) {
        if (fingerprint.size != FINGERPRINT_BYTES) {
            refuse(
                "expected a fingerprint of $FINGERPRINT_BYTES bytes, got ${fingerprint.size}; give the one of the " +
                    "model",
            )
        }
    }

    private fun checksum(content: ByteArray): Long =
        CRC32().apply { update(content, 0, content.size - CHECKSUM_BYTES) }.value

    private fun hex(value: Long) = "%08x".format(value)

    private fun refuse(message: String): Nothing = throw InputException(message)
}
