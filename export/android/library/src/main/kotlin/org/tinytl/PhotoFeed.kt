package org.tinytl

/**
 * Photos: training photos are changed by the plan, held-out photos are cropped by the manifest.
 *
 * @param manifest manifest of the model
 * @param plan plan of the run
 */
internal class PhotoFeed(
    private val manifest: Manifest,
    private val plan: TrainingPlan,
) : Feed {
    private val shortSide = Pixels.shortSide(manifest.width, manifest.height)

    override val settings: Map<String, String> =
        mapOf(
            "central_fraction" to manifest.centralFraction.toString(),
            "augmentation" to plan.augmentation.toString(),
        )

    override fun checkKind(example: Example) {
        if (example.source !is ImageSource) {
            throw InputException(
                "expected photos, since the model takes images, got the array ${example.source.name}; give " +
                    "photos, or open a model of arrays",
            )
        }
    }

    override fun check(example: Example): Unit = checkKind(example) // a step decodes its photos

    override fun forTraining(
        example: Example,
        place: TrainingPlan.Place,
        epoch: Int,
    ): ModelInput {
        val image = Pixels.shrink(example.image.read(shortSide), shortSide)
        val (width, height) = Pair(manifest.width, manifest.height)
        val central = CropBox.central(image.width, image.height, width, height, manifest.centralFraction)
        val change = plan.change(epoch, place, image.width, image.height, central)
        return ModelInput.Image(change.apply(image, width, height).pixels)
    }

    override fun forInference(example: Example): ModelInput =
        ModelInput.Image(
            Pixels.forInference(
                example.image.read(shortSide),
                manifest.width,
                manifest.height,
                manifest.centralFraction,
            ),
        )
}
