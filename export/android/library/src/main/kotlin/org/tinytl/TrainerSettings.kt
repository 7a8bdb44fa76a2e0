package org.tinytl

/**
 * Settings of a [Trainer].
 *
 * @property epochs number of passes over the examples
 * @property learningRate learning rate of step 0; null for the manifest's
 * @property schedule schedule of the learning rate; null for the manifest's
 * @property seed seed of the order of the examples and their changes, 0 to 2^53 - 1
 * @property augmentation changes of photos; null for the manifest's setting; must be null for arrays, which are not
 *   changed
 * @property saveEvery number of steps between two saves of the progress
 * @property newClasses whether to add classes of the training examples that are new to the model, see
 *   [TinyTlModel.addClass]
 * @throws InputException if a setting is out of range
 */
public data class TrainerSettings
    @JvmOverloads
    constructor(
        val epochs: Int = 5,
        val learningRate: Double? = null,
        val schedule: LearningRateSchedule? = null,
        val seed: Long = 0,
        val augmentation: Augmentation? = null,
        val saveEvery: Int = 50,
        val newClasses: Boolean = false,
    ) {
        init {
            if (epochs < 1 || saveEvery < 1) {
                throw InputException(
                    "expected epochs and saveEvery of 1 or more, got $epochs and $saveEvery; use larger values, " +
                        "or leave them out",
                )
            }
            if (learningRate != null && !(learningRate > 0 && learningRate < Float.MAX_VALUE)) {
                throw InputException(
                    "expected a finite learning rate above 0, got $learningRate; leave it out to use the manifest's",
                )
            }
            if (seed !in 0..RandomStream.MOST) {
                throw InputException("expected a seed of 0 to ${RandomStream.MOST}, got $seed; give 0, for example")
            }
        }
    }
