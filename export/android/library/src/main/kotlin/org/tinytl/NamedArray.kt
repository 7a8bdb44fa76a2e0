package org.tinytl

/**
 * An array in memory.
 *
 * @property name name in messages
 * @param numbers numbers in row-major order, see [ArrayInput]; they are copied, so you can reuse your buffer
 */
public class NamedArray(
    override val name: String,
    numbers: FloatArray,
) : ArraySource {
    private val copy = numbers.copyOf()

    override fun read(): FloatArray = copy.copyOf()
}
