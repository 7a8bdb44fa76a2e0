package org.tinytl

/**
 * The required signatures of a file.
 *
 * @property batch number of images or arrays in a training step
 * @property outputs number of classes, attributes or numbers, including spare classes
 * @property stateSize number of values of the state
 */
internal class Contract private constructor(
    val batch: Int,
    val outputs: Int,
    val stateSize: Int,
) {
    companion object {
        private const val REMEDY = "export it with `tinytl export`"

        /**
         * Checks signatures, names, types and shapes against the manifest.
         *
         * @throws InputException if something is missing or unknown, or has a different type or shape
         */
        fun check(
            signatures: Map<String, SignatureSpec>,
            manifest: Manifest,
        ): Contract {
            val outputs = manifest.labels.size + manifest.spareClasses
            val contract = Contract(manifest.batchSize, outputs, manifest.stateSize)
            for ((name, expected) in contract.signatures(manifest)) {
                val actual =
                    signatures[name] ?: throw InputException(
                        "expected a model with the signature $name, got one with ${signatures.keys.sorted()}; $REMEDY",
                    )
                check("$name input", expected.inputs, actual.inputs)
                check("$name output", expected.outputs, actual.outputs)
            }
            return contract
        }

        private fun check(
            where: String,
            expected: Map<String, TensorSpec>,
            actual: Map<String, TensorSpec>,
        ) {
            for (name in (expected.keys + actual.keys).sorted()) {
                if (expected[name] != actual[name]) {
                    throw InputException(
                        "expected ${expected[name] ?: "nothing"} as $where $name, got ${actual[name] ?: "nothing"}; " +
                            "$REMEDY and copy the .tflite and its manifest together",
                    )
                }
            }
        }
    }

    private fun signatures(manifest: Manifest): Map<String, SignatureSpec> {
        val state = mapOf(Tensors.STATE to TensorSpec(TensorType.FLOAT32, listOf(stateSize)))
        val restored = mapOf(Tensors.RESTORED to TensorSpec(TensorType.INT32, listOf(1)))
        val one = TensorSpec(TensorType.FLOAT32, listOf(1))
        val scores = TensorSpec(TensorType.FLOAT32, listOf(1, outputs))
        return mapOf(
            Tensors.INFER to
                SignatureSpec(
                    mapOf(manifest.inputName to manifest.inputSpec(1)),
                    mapOf(Tensors.LOGITS to scores, Tensors.PROBABILITIES to scores),
                ),
            Tensors.TRAIN to
                SignatureSpec(
                    mapOf(
                        manifest.inputName to manifest.inputSpec(batch),
                        Tensors.LABEL to
                            TensorSpec(manifest.task.labelType, manifest.task.labelShape(batch, outputs)),
                        Tensors.LEARNING_RATE to one,
                    ),
                    mapOf(
                        Tensors.LOSS to one,
                        Tensors.ACCURACY to one,
                        Tensors.APPLIED to TensorSpec(TensorType.INT32, listOf(1)),
                    ),
                ),
            Tensors.SAVE to SignatureSpec(emptyMap(), state),
            Tensors.RESTORE to SignatureSpec(state, restored),
            Tensors.RESET to SignatureSpec(emptyMap(), restored),
        )
    }
}
