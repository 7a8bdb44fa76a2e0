package org.tinytl

/**
 * Inputs and outputs of a signature, by name.
 *
 * @property inputs what the signature takes
 * @property outputs what it gives
 */
public data class SignatureSpec(
    val inputs: Map<String, TensorSpec>,
    val outputs: Map<String, TensorSpec>,
)
