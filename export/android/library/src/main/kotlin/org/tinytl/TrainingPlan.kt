package org.tinytl

/**
 * The plan of a run: examples, changes of photos, and learning rate of each step. It is the same in all clients.
 *
 * @param photos number of training examples
 * @param manifest manifest of the model, for defaults of the settings
 * @param settings settings of the run
 * @param batchSize number of images in a step
 */
internal class TrainingPlan(
    private val photos: Int,
    private val manifest: Manifest,
    private val settings: TrainerSettings,
    private val batchSize: Int = manifest.batchSize,
) {
    private val seed = settings.seed

    /** Augmentation of photos; arrays are not changed. */
    val augmentation: Augmentation
        get() = settings.augmentation ?: manifest.augmentation

    /** Learning rate of step 0. */
    val learningRate: Double = settings.learningRate ?: manifest.learningRate

    /** Schedule of the learning rate. */
    val schedule: LearningRateSchedule = settings.schedule ?: manifest.schedule

    /** Number of steps in an epoch; an incomplete batch is left out. */
    val stepsPerEpoch: Int = maxOf(1, photos / batchSize)

    /** Total number of steps of the run. */
    val totalSteps: Int

    init {
        if (manifest.array != null && settings.augmentation != null) {
            throw InputException(
                "expected no augmentation for a model of arrays, which are never changed, got " +
                    "${settings.augmentation}; leave it out",
            )
        }
        val steps = settings.epochs.toLong() * stepsPerEpoch
        if (steps > Int.MAX_VALUE) {
            throw InputException("expected fewer than 2^31 steps, got $steps; give fewer epochs")
        }
        totalSteps = steps.toInt()
    }

    /** Returns the learning rate of a step, counted from 0. */
    fun rate(step: Int): Double = schedule.rate(step, totalSteps, learningRate)

    /** Returns the order of the photos in an epoch, counted from 0. */
    fun order(epoch: Int): IntArray = RandomStream(seed, epoch.toLong(), 0).permutation(photos)

    /**
     * Returns the photos of a step.
     *
     * @param step index of the step in the run, from 0
     * @param order order of its epoch
     */
    fun places(
        step: Int,
        order: IntArray,
    ): List<Place> {
        val first = step % stepsPerEpoch * batchSize
        return List(batchSize) { Place(order[(first + it) % photos], (first + it) / photos) }
    }

    /**
     * Draws the random change of a photo.
     *
     * @param epoch index of the epoch, from 0
     * @param place position of the photo in the epoch
     * @param width width of the photo after [Pixels.shrink]
     * @param height height of the photo after [Pixels.shrink]
     * @param central the part that is used without a random crop
     */
    fun change(
        epoch: Int,
        place: Place,
        width: Int,
        height: Int,
        central: CropBox,
    ): PhotoChange {
        val (photo, copy) = place
        val names = longArrayOf(seed, epoch.toLong(), photo + 1L, copy.toLong())
        // The first copy has no copy number in its stream.
        val stream = RandomStream(*if (copy > 0) names else names.copyOf(names.size - 1))
        return augmentation.draw(width, height, central, stream)
    }

    /**
     * A photo in a batch.
     *
     * @property photo index of the photo, from 0
     * @property copy number of earlier copies of the photo in the epoch
     */
    data class Place(
        val photo: Int,
        val copy: Int,
    )
}
