package org.tinytl

/** An array that can be read whenever a step needs it; [NamedArray] is one in memory. */
public interface ArraySource : ExampleSource {
    /**
     * Reads the numbers.
     *
     * @return finite numbers in row-major order, as many as the model takes, see [ArrayInput]
     * @throws InputException if it cannot be read
     */
    public fun read(): FloatArray

    /**
     * Returns the SHA-256 of the content, 32 bytes. By default it is the digest of the numbers, as float32 in
     * little-endian order; a source that reads a file returns the digest of the file.
     *
     * @throws InputException if it cannot be read
     */
    override fun digest(): ByteArray = Fingerprint.of(read())
}
