package org.tinytl

/**
 * The examples of a run, identified by their content.
 *
 * @param training the training examples
 * @param heldOut the held-out examples
 * @param what name of the examples in messages: photos or arrays
 * @param beforeEach called before each example is read
 * @throws InputException if an example cannot be read
 */
internal class RunData(
    training: List<Example>,
    heldOut: List<Example>,
    val what: String,
    beforeEach: (Example) -> Unit,
) {
    private val lists =
        mapOf("to train on" to training, "to measure by" to heldOut).mapValues { (_, examples) ->
            examples.map {
                beforeEach(it)
                Content(it, it.source.digest())
            }
        }

    /** Identity of each example by list: its content and labels, not its name. */
    val identities: Map<String, List<String>> = lists.mapValues { (_, contents) -> contents.map { it.identity } }

    /** Name of each example in messages. */
    val names: Map<String, List<String>> = lists.mapValues { (_, contents) -> contents.map { it.name } }

    /** A warning about held-out examples that are also trained on; null without such examples. */
    val sharedWarning: String?
        get() {
            val (trained, measured) = lists.values.toList()
            val known = trained.mapTo(HashSet()) { it.digest }
            val shared = measured.filter { it.digest in known }
            return if (shared.isEmpty()) {
                null
            } else {
                "${shared.size} of ${measured.size} held-out $what (${listed(shared.map { it.name })}) are also " +
                    "trained on, so the accuracy is too high; remove them from one of the two lists"
            }
        }

    private class Content(
        example: Example,
        content: ByteArray,
    ) {
        val name = example.source.name
        val digest = Fingerprint.hex(content)
        val identity: String

        init {
            val names = example.labels.map { ClassNames.normalized(it) }
            val numbers =
                example.numbers.map { (name, number) ->
                    "${ClassNames.normalized(name)}=${number.toRawBits()}"
                }
            val labels = (names + numbers).sorted().joinToString("\u0000")
            identity = Fingerprint.hex(Fingerprint.of("$digest\u0000$labels".toByteArray()).copyOf(BYTES))
        }
    }

    private companion object {
        const val BYTES = 8
    }
}
