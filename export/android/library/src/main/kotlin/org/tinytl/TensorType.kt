package org.tinytl

/**
 * Type of the elements of a tensor.
 *
 * @property manifestName name in the manifest
 * @property bytes size of one element
 */
public enum class TensorType(
    public val manifestName: String,
    public val bytes: Int,
) {
    UINT8("uint8", 1),
    INT32("int32", 4),
    FLOAT32("float32", 4),
}
