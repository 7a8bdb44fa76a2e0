package org.tinytl

/**
 * Random choices of a run: the examples of each step, the changes of photos, and the rates. All clients make the same.
 *
 * @param photos number of examples to train on
 * @param manifest of the model, for defaults of the settings
 * @param settings of the run
 * @param batchSize images of a step
 */
internal class TrainingPlan(
    private val photos: Int,
    private val manifest: Manifest,
    private val settings: TrainerSettings,
    private val batchSize: Int = manifest.batchSize,
) {
    private val seed = settings.seed

    /** How photos are changed; arrays never are. */
    val augmentation: Augmentation
        get() = settings.augmentation ?: manifest.augmentation

    /** Of step 0. */
    val learningRate: Double = settings.learningRate ?: manifest.learningRate

    /** Of the learning rate. */
    val schedule: LearningRateSchedule = settings.schedule ?: manifest.schedule

    /** Steps of a pass over the photos; an incomplete batch is left out. */
    val stepsPerEpoch: Int = maxOf(1, photos / batchSize)

    /** Steps of the run. */
    val totalSteps: Int

    init {
        if (manifest.array != null && settings.augmentation != null) {
            throw InputException(
                "expected no augmentation for a model of arrays, which are trained on as they are, got " +
                    "${settings.augmentation}; leave it out",
            )
        }
        val steps = settings.epochs.toLong() * stepsPerEpoch
        if (steps > Int.MAX_VALUE) {
            throw InputException("expected fewer than 2^31 steps, got $steps; give fewer epochs")
        }
        totalSteps = steps.toInt()
    }

    /** The rate of a step, from 0. */
    fun rate(step: Int): Double = schedule.rate(step, totalSteps, learningRate)

    /** The photos of an epoch, from 0, in their order. */
    fun order(epoch: Int): IntArray = RandomStream(seed, epoch.toLong(), 0).permutation(photos)

    /**
     * The photos of a step.
     *
     * @param step of the run, from 0
     * @param order of its epoch
     */
    fun places(
        step: Int,
        order: IntArray,
    ): List<Place> {
        val first = step % stepsPerEpoch * batchSize
        return List(batchSize) { Place(order[(first + it) % photos], (first + it) / photos) }
    }

    /**
     * Draws the change of a photo.
     *
     * @param epoch from 0
     * @param place of the photo in the epoch
     * @param width of the photo after [Pixels.shrink]
     * @param height of the photo after [Pixels.shrink]
     * @param central the part that is taken without a crop
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
        // The first copy has a stream of three names.
        val stream = RandomStream(*if (copy > 0) names else names.copyOf(names.size - 1))
        return augmentation.draw(width, height, central, stream)
    }

    /**
     * A photo in a batch.
     *
     * @property photo its number, from 0
     * @property copy how often the epoch has had it before
     */
    data class Place(
        val photo: Int,
        val copy: Int,
    )
}
