package org.tinytl

/**
 * An array in memory.
 *
 * @property name its name in messages
 * @param numbers in row-major order, see [ArrayInput]; they are copied, so that a buffer may be filled again
 */
public class NamedArray(
    override val name: String,
    numbers: FloatArray,
) : ArraySource {
    private val copy = numbers.copyOf()

    override fun read(): FloatArray = copy.copyOf()
}
