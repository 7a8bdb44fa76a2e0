package org.tinytl

/** A photo that can be read whenever a step needs it. */
public interface ImageSource {
    /** What errors call it; with the same name it has to be the same photo when a run goes on. */
    public val name: String

    /**
     * Reads the photo, upright.
     *
     * @param shortSide a larger photo is shrunk until its short side has this many pixels, see [Pixels.shrink]
     * @throws InputException if it cannot be read
     */
    public fun read(shortSide: Int): RgbImage
}
