package org.tinytl

/** A photo that can be read whenever a step needs it. */
public interface ImageSource : ExampleSource {
    /**
     * Reads the photo, upright.
     *
     * @param shortSide length of the short side in pixels to which a larger photo is shrunk, see [Pixels.shrink]
     * @throws InputException if it cannot be read
     */
    public fun read(shortSide: Int): RgbImage

    /**
     * Returns the SHA-256 of the photo's content, 32 bytes: of its file, or, without a file, of its pixels.
     *
     * It decides whether the photo is held out, see [Example.holdOut]. A stopped run is resumed only with photos of the
     * same digests. The default reads the photo at full size.
     *
     * @throws InputException if it cannot be read
     */
    override fun digest(): ByteArray = Fingerprint.of(read(Int.MAX_VALUE).pixels)
}
