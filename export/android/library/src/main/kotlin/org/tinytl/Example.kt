package org.tinytl

/**
 * A photo and what is on it.
 *
 * @property image the photo
 * @property labels names of its class (one), or of its attributes (any number), as the model calls them
 */
public class Example(
    public val image: ImageSource,
    public val labels: Set<String>,
) {
    /** A photo of one class. */
    public constructor(image: ImageSource, label: String) : this(image, setOf(label))

    /** Sorts examples into those to train on and those to measure by. */
    public companion object {
        /**
         * Holds out a part of the examples: the last quarter of each class (at least one), or of all where images have
         * several attributes.
         *
         * @param examples all examples
         * @param task of the model
         * @return those to train on and those that are held out, each in the order of [examples]
         * @throws InputException if a class has fewer than two
         */
        @JvmStatic
        public fun holdOut(
            examples: List<Example>,
            task: Task,
        ): Pair<List<Example>, List<Example>> {
            val groups =
                examples.indices.groupBy {
                    if (task ==
                        Task.CLASSIFICATION
                    ) {
                        examples[it].labels
                    } else {
                        emptySet()
                    }
                }
            val heldOut = HashSet<Int>()
            for ((labels, members) in groups) {
                if (members.size < 2) {
                    throw InputException(
                        "expected 2 photos or more of ${labels.joinToString().ifEmpty {
                            "all"
                        }}, one to train on and one " +
                            "to measure by, got ${members.size}; take more",
                    )
                }
                heldOut += members.takeLast(maxOf(1, (members.size + 2) / 4))
            }
            return examples.indices.partition { it !in heldOut }.let { (train, held) ->
                Pair(train.map(examples::get), held.map(examples::get))
            }
        }
    }
}
