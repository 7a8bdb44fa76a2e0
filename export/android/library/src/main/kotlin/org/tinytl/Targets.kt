package org.tinytl

/**
 * What a model is to answer for examples, by the names of its classes in any form of Unicode.
 *
 * @param task of the model
 * @param labels names of the classes or attributes, in the order of the outputs
 * @throws InputException if two names differ in their form alone
 */
internal class Targets(
    private val task: Task,
    labels: List<String>,
) {
    private val outputs = LinkedHashMap<String, Int>()

    init {
        labels.forEachIndexed { output, label ->
            if (outputs.put(ClassNames.normalized(label), output) != null) {
                throw InputException(
                    "expected classes whose names tell them apart, got ${ClassNames.shown(label)} in two forms of " +
                        "Unicode; restore another state, or reset the model",
                )
            }
        }
    }

    /** The labels of the examples that have no output, in the form NFC, in their order. */
    fun unknown(examples: List<Example>): List<String> =
        examples.flatMapTo(LinkedHashSet()) { names(it) }.filter { it !in outputs }

    /**
     * A number for each output: 1 for those of the example.
     *
     * @throws InputException if it has a label without an output, or the model is for one class and it has not one
     */
    fun of(example: Example): FloatArray {
        val names = names(example)
        val unknown = names.filter { it !in outputs }
        if (unknown.isNotEmpty()) {
            throw InputException(
                "expected labels that the model knows (${listed(outputs.keys)}), got ${listed(unknown)} for " +
                    "${example.image.name}; rename or leave out these, set newClasses, or export a model for them",
            )
        }
        if (task == Task.CLASSIFICATION && names.size != 1) {
            throw InputException(
                "expected one class for ${example.image.name}, got ${names.size}; give the one that the photo shows " +
                    "most",
            )
        }
        return FloatArray(outputs.size).also { target -> names.forEach { target[outputs.getValue(it)] = 1f } }
    }

    private fun names(example: Example): Set<String> =
        example.labels.mapTo(LinkedHashSet()) { ClassNames.normalized(it) }
}
