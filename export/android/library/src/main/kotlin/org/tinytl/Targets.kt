package org.tinytl

/**
 * Targets of examples for a model, matched by names of classes in any form of Unicode.
 *
 * @param task task of the model
 * @param labels names of the classes, attributes or numbers, in the order of the outputs
 * @throws InputException if two names differ only in their form of Unicode
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
                    "expected classes with different names, got ${ClassNames.shown(label)} twice, in two forms of " +
                        "Unicode; restore another state, or reset the model",
                )
            }
        }
    }

    /** Returns the labels of the examples that are new to the model, in the form NFC, in the order of the examples. */
    fun unknown(examples: List<Example>): List<String> =
        examples.flatMapTo(LinkedHashSet()) { names(it) }.filter { it !in outputs }

    /**
     * Returns a number for each output: 1 for the classes or attributes of the example, or the numbers of a regression.
     *
     * @throws InputException if a label is unknown to the model, the model is for one class and the example does not
     *   have exactly one, or the model is for numbers and a number is missing or not finite
     */
    fun of(example: Example): FloatArray = if (task == Task.REGRESSION) numbers(example) else classes(example)

    private fun classes(example: Example): FloatArray {
        if (example.numbers.isNotEmpty()) {
            throw InputException(
                "expected names of classes (${listed(outputs.keys)}) for ${example.source.name}, got numbers; " +
                    "give its label, or open a model that predicts numbers",
            )
        }
        val names = names(example)
        val unknown = names.filter { it !in outputs }
        if (unknown.isNotEmpty()) {
            throw InputException(
                "expected labels of the model (${listed(outputs.keys)}), got ${listed(unknown)} for " +
                    "${example.source.name}; rename or leave out these, set newClasses, or export a model for them",
            )
        }
        if (task == Task.CLASSIFICATION && names.size != 1) {
            throw InputException(
                "expected one class for ${example.source.name}, got ${names.size}; give the class that fits best",
            )
        }
        return FloatArray(outputs.size).also { target -> names.forEach { target[outputs.getValue(it)] = 1f } }
    }

    private fun numbers(example: Example): FloatArray {
        if (example.labels.isNotEmpty()) {
            throw InputException(
                "expected a number for each output (${listed(
                    outputs.keys,
                )}) for ${example.source.name}, got names of " +
                    "classes (${listed(example.labels)}); give a map from name to number",
            )
        }
        val numbers = example.numbers.mapKeys { ClassNames.normalized(it.key) }
        if (numbers.keys != outputs.keys || numbers.size != example.numbers.size) {
            throw InputException(
                "expected a number for each output (${listed(outputs.keys)}) for ${example.source.name}, got " +
                    "${example.numbers.size} (${listed(example.numbers.keys)}); name each output once",
            )
        }
        numbers.entries.find { it.value.isNaN() || it.value.isInfinite() }?.let {
            throw InputException(
                "expected finite numbers as labels of ${example.source.name}, got ${it.value} as ${it.key}; leave " +
                    "that one out",
            )
        }
        return FloatArray(outputs.size).also { target ->
            numbers.forEach { (name, number) -> target[outputs.getValue(name)] = number }
        }
    }

    private fun names(example: Example): Set<String> =
        example.labels.mapTo(LinkedHashSet()) { ClassNames.normalized(it) }
}
