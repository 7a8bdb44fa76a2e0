package org.tinytl

import java.nio.ByteBuffer

/**
 * A photo or an array, and its labels.
 *
 * ```
 * Example(Photo.of(file), "rose")
 * Example(NamedArray("window 17", numbers), mapOf("rate" to 1.5f, "strength" to -0.2f))
 * ```
 *
 * @property source the photo or the array
 * @property labels name of its class, or names of its attributes (any number), as in the model; empty for a regression
 * @property numbers for a regression the label of each output by name; otherwise empty
 */
public class Example private constructor(
    public val source: ExampleSource,
    public val labels: Set<String>,
    public val numbers: Map<String, Float>,
) {
    /** A photo or an array with its class, or its attributes. */
    public constructor(source: ExampleSource, labels: Set<String>) : this(source, labels, emptyMap())

    /** A photo or an array of one class. */
    public constructor(source: ExampleSource, label: String) : this(source, setOf(label))

    /** A photo or an array with numbers to predict, by the names of the outputs. */
    public constructor(source: ExampleSource, numbers: Map<String, Float>) : this(source, emptySet(), numbers)

    /**
     * The photo.
     *
     * @throws InputException if the example is an array
     */
    public val image: ImageSource
        get() =
            source as? ImageSource ?: throw InputException(
                "expected the example of a photo, got the array ${source.name}; read `source`",
            )

    /** Splits examples into a training set and a held-out set. */
    public companion object {
        private const val QUARTER = 1 shl 30

        /**
         * Holds out about a quarter of the examples, chosen only by the content of each photo or array.
         *
         * The choice does not depend on other examples, their number or their order, so that an example that was
         * trained on is not held out later. Copies stay together. Each example is read once.
         *
         * @param examples all examples
         * @param manifest manifest of the model
         * @param seed chooses the held-out examples, 0 or more; use the same seed each time
         * @return both parts, each in the order of [examples]
         * @throws InputException if an example cannot be read, the list is empty, or all examples of a class are held
         *   out
         */
        @JvmStatic
        @JvmOverloads
        public fun holdOut(
            examples: List<Example>,
            manifest: Manifest,
            seed: Long = manifest.splitSeed,
        ): Split {
            if (examples.isEmpty()) {
                throw nothing(manifest)
            }
            if (seed < 0) {
                throw InputException("expected a split seed of 0 or more, got $seed; give 0, for example")
            }
            val (heldOut, training) = examples.partition { isHeldOut(it.source.digest(), seed) }
            if (training.isEmpty()) {
                throw untrained(manifest, "", examples.size)
            }
            val untrained = names(heldOut) - names(training)
            if (manifest.task == Task.CLASSIFICATION && untrained.isNotEmpty()) {
                val count = heldOut.count { names(listOf(it)).any(untrained::contains) }
                throw untrained(manifest, " of ${shown(untrained)}", count)
            }
            return Split(training, heldOut, warnings(training, heldOut, manifest))
        }

        /**
         * Whether a photo or an array is held out.
         *
         * @param digest SHA-256 of its content
         * @param seed seed of the split
         */
        internal fun isHeldOut(
            digest: ByteArray,
            seed: Long,
        ): Boolean {
            val drawn = ByteBuffer.wrap(Fingerprint.of("$seed/${Fingerprint.hex(digest)}".toByteArray())).getInt()
            return drawn in 0 until QUARTER
        }

        /** Returns the error for an empty training set. */
        internal fun nothing(manifest: Manifest): InputException {
            val some = if (manifest.task == Task.REGRESSION) "some" else "some of each class"
            return InputException("expected ${manifest.examples} to train on, got none; take $some")
        }

        private fun warnings(
            training: List<Example>,
            heldOut: List<Example>,
            manifest: Manifest,
        ): List<String> {
            val unmeasured = names(training) - names(heldOut)
            val untrained = names(heldOut) - names(training)
            val warnings = ArrayList<String>()
            val many = manifest.examples
            val one = many.dropLast(1)
            if (heldOut.isEmpty()) {
                warnings += "nothing is held out, so the accuracy is unknown; add $many"
            } else if (unmeasured.isNotEmpty()) {
                warnings +=
                    "no $one is held out of ${unmeasured.size} classes (${shown(unmeasured)}), so their accuracy " +
                    "is unknown; add $many"
            }
            if (untrained.isNotEmpty()) {
                warnings += "no $one of ${untrained.size} classes (${shown(untrained)}) is left for training; add $many"
            }
            if (heldOut.isNotEmpty() && !manifest.splitsByContent) {
                warnings +=
                    "the model was trained by a version that held out other $many: some of the held-out $many may " +
                    "have been trained on"
            }
            return warnings
        }

        private fun untrained(
            manifest: Manifest,
            of: String,
            count: Int,
        ) = InputException(
            "expected ${manifest.examples} to train on$of, got none: all $count are held out; add " +
                "${manifest.examples}, or give another split seed",
        )

        private fun names(examples: List<Example>): Set<String> =
            examples.flatMap { it.labels }.mapTo(LinkedHashSet()) { ClassNames.normalized(it) }

        private fun shown(names: Set<String>): String = listed(names.map { ClassNames.shown(it) })
    }
}
