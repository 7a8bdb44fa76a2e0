package org.tinytl

/** Turns the examples of a run into inputs of its model. */
internal interface Feed {
    /** Additional settings that the numbers of a run depend on, by name. */
    val settings: Map<String, String>

    /**
     * Checks that an example is of the model's kind; nothing is read.
     *
     * @throws InputException if it is an array and the model takes photos, or the other way round
     */
    fun checkKind(example: Example)

    /**
     * Checks an example, as far as possible before anything runs.
     *
     * @throws InputException if it cannot be used
     */
    fun check(example: Example)

    /**
     * Reads an example to train on.
     *
     * @param place of it in its epoch
     * @param epoch from 0
     */
    fun forTraining(
        example: Example,
        place: TrainingPlan.Place,
        epoch: Int,
    ): ModelInput

    /** Reads an example to measure by. */
    fun forInference(example: Example): ModelInput
}
