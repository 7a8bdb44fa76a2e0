package org.tinytl

/**
 * The examples of a run, by their content.
 *
 * @param training the examples to train on
 * @param heldOut the examples to measure by
 * @param what their name in messages: photos or arrays
 * @param beforeEach is called before each one is read
 * @throws InputException if one cannot be read
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

    /** Identity of each example, by its list: content and labels, not its name. */
    val identities: Map<String, List<String>> = lists.mapValues { (_, contents) -> contents.map { it.identity } }

    /** Name of each of them in messages. */
    val names: Map<String, List<String>> = lists.mapValues { (_, contents) -> contents.map { it.name } }

    /** A line about those to measure by that are trained on, too; null without any. */
    val sharedWarning: String?
        get() {
            val (trained, measured) = lists.values.toList()
            val known = trained.mapTo(HashSet()) { it.digest }
            val shared = measured.filter { it.digest in known }
            return if (shared.isEmpty()) {
                null
            } else {
                "${shared.size} of ${measured.size} $what to measure by are trained on, too " +
                    "(${listed(shared.map { it.name })}), and the figures say too much; leave them out of one of both"
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
