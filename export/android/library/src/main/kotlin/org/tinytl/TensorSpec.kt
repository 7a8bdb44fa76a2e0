package org.tinytl

/**
 * Type and shape of an input or output of a signature.
 *
 * @property type type of an element, or null for a type that models do not use
 * @property shape sizes from the outermost dimension to the innermost
 */
public data class TensorSpec(
    val type: TensorType?,
    val shape: List<Int>,
) {
    /** Size of the tensor in bytes. */
    public val bytes: Int
        get() = shape.fold(type?.bytes ?: 0) { product, size -> Math.multiplyExact(product, size) }

    override fun toString(): String = "${type?.manifestName ?: "another type"} $shape"
}
