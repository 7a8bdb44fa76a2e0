package org.tinytl

/**
 * Passes arrays to the model unchanged.
 *
 * @param input input of the model
 */
internal class ArrayFeed(
    private val input: ArrayInput,
) : Feed {
    override val settings: Map<String, String> = emptyMap()

    override fun checkKind(example: Example) {
        source(example)
    }

    override fun check(example: Example): Unit = input.check(example.source.name, source(example).read())

    override fun forTraining(
        example: Example,
        place: TrainingPlan.Place,
        epoch: Int,
    ): ModelInput = forInference(example)

    override fun forInference(example: Example): ModelInput = ModelInput.Array(source(example).read())

    private fun source(example: Example): ArraySource =
        example.source as? ArraySource ?: throw InputException(
            "expected arrays of ${input.shape}, since the model takes arrays, got the photo " +
                "${example.source.name}; give arrays, or open a model of images",
        )
}
