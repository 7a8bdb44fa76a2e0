package org.tinytl

/** The input of an [Example]: a photo ([ImageSource]) or an array ([ArraySource]). */
public sealed interface ExampleSource {
    /** Name in messages. */
    public val name: String

    /**
     * Returns the SHA-256 of the content, 32 bytes.
     *
     * It decides whether the example is held out, see [Example.holdOut]. A stopped run is resumed only with examples of
     * the same digests.
     *
     * @throws InputException if it cannot be read
     */
    public fun digest(): ByteArray
}
