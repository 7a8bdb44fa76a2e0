package org.tinytl

/**
 * Inputs and outputs of a signature, by name.
 *
 * @property inputs inputs of the signature
 * @property outputs outputs of the signature
 */
public data class SignatureSpec(
    val inputs: Map<String, TensorSpec>,
    val outputs: Map<String, TensorSpec>,
)
