package org.tinytl

/** Converts the examples of a run to inputs of its model. */
internal interface Feed {
    /** Additional settings that affect the results of a run, by name. */
    val settings: Map<String, String>

    /**
     * Checks that an example is of the model's kind, without reading it.
     *
     * @throws InputException if it is an array and the model takes photos, or a photo and the model takes arrays
     */
    fun checkKind(example: Example)

    /**
     * Checks an example, as far as possible before anything runs.
     *
     * @throws InputException if it cannot be used
     */
    fun check(example: Example)

    /**
     * Reads a training example.
     *
     * @param place position of the example in its epoch
     * @param epoch index of the epoch, from 0
     */
    fun forTraining(
        example: Example,
        place: TrainingPlan.Place,
        epoch: Int,
    ): ModelInput

    /** Reads a held-out example. */
    fun forInference(example: Example): ModelInput
}
