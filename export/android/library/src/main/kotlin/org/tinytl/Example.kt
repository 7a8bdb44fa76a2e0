package org.tinytl

import java.nio.ByteBuffer

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
        private const val QUARTER = 1 shl 30

        /**
         * Holds out about a quarter of the examples, by the content of each photo alone.
         *
         * Whether a photo is held out does not depend on the other photos, their number or their order, so that a
         * photo that was trained on is not held out later. Copies of a photo stay together. Each photo is read once.
         *
         * @param examples all examples
         * @param manifest of the model
         * @param seed chooses other photos, 0 or more; give the same one each time
         * @return both parts, each in the order of [examples]
         * @throws InputException if a photo cannot be read, there is none, or all photos of a class are held out
         */
        @JvmStatic
        @JvmOverloads
        public fun holdOut(
            examples: List<Example>,
            manifest: Manifest,
            seed: Long = manifest.splitSeed,
        ): Split {
            if (examples.isEmpty()) {
                throw InputException("expected photos to train on, got none; take some of each class")
            }
            if (seed < 0) {
                throw InputException("expected a split seed of 0 or more, got $seed; give 0, say")
            }
            val (heldOut, training) = examples.partition { isHeldOut(it.image.digest(), seed) }
            if (training.isEmpty()) {
                throw untrained("", examples.size)
            }
            val untrained = names(heldOut) - names(training)
            if (manifest.task == Task.CLASSIFICATION && untrained.isNotEmpty()) {
                throw untrained(" of ${shown(untrained)}", heldOut.count { names(listOf(it)).any(untrained::contains) })
            }
            return Split(training, heldOut, warnings(training, heldOut, manifest))
        }

        /**
         * Whether a photo is held out.
         *
         * @param digest SHA-256 of its content
         * @param seed of the split
         */
        internal fun isHeldOut(
            digest: ByteArray,
            seed: Long,
        ): Boolean {
            val drawn = ByteBuffer.wrap(Fingerprint.of("$seed/${Fingerprint.hex(digest)}".toByteArray())).getInt()
            return drawn in 0 until QUARTER
        }

        private fun warnings(
            training: List<Example>,
            heldOut: List<Example>,
            manifest: Manifest,
        ): List<String> {
            val unmeasured = names(training) - names(heldOut)
            val untrained = names(heldOut) - names(training)
            val warnings = ArrayList<String>()
            if (heldOut.isEmpty()) {
                warnings += "nothing is held out, and how well the model does is not known; add photos"
            } else if (unmeasured.isNotEmpty()) {
                warnings +=
                    "no photo is held out of ${unmeasured.size} classes (${shown(
                        unmeasured,
                    )}), and their accuracy is " +
                    "not known; add photos"
            }
            if (untrained.isNotEmpty()) {
                warnings += "no photo is trained on of ${untrained.size} classes (${shown(untrained)}); add photos"
            }
            if (heldOut.isNotEmpty() && !manifest.splitsByContent) {
                warnings +=
                    "the model comes from a version that held out other photos: photos that it was trained on may be " +
                    "among those that are held out"
            }
            return warnings
        }

        private fun untrained(
            of: String,
            photos: Int,
        ) = InputException(
            "expected photos to train on$of, got none: all $photos are held out; add photos, or give another split " +
                "seed",
        )

        private fun names(examples: List<Example>): Set<String> =
            examples.flatMap { it.labels }.mapTo(LinkedHashSet()) { ClassNames.normalized(it) }

        private fun shown(names: Set<String>): String = listed(names.map { ClassNames.shown(it) })
    }
}
