package org.tinytl.sample

import org.tinytl.ClassResult
import org.tinytl.EvaluateResult
import org.tinytl.TrainerResult
import java.util.Locale
import kotlin.math.abs

/** All texts of the app, in one place to translate. The app has no resource files, so Maven builds it without aapt2. */
internal object Strings {
    const val READY = "Name two classes or more, and give each a few photos."
    const val CLASS_NAME = "Name of a class"
    const val ADD_CLASS = "Add class"
    const val PICK = "Pick photos"
    const val TAKE = "Take photo"
    const val TRAIN = "Train"
    const val STOP = "Stop"
    const val TRAIN_LATER = "Train while charging"
    const val CLASSIFY_PICK = "What is on a photo?"
    const val CLASSIFY_TAKE = "What is before the camera?"
    const val CLASSIFY_LIVE = "Live camera"
    const val SAVE = "Save"
    const val RESTORE = "Restore"
    const val RESET_MODEL = "Reset"
    const val SHARE = "Share"
    const val PROGRESS = "Progress of the training"
    const val TRAINING = "Training"
    const val STOPPED = "Stopped. Train continues where it was."
    const val SAVED = "Saved."
    const val RESTORED = "Restored what was saved."
    const val RESET = "The model has forgotten what it learned."
    const val SHARED = "The file holds what was learned, and no photo."
    const val SCHEDULED = "The phone trains when it charges."
    const val NO_CAMERA = "Expected an app that takes photos, found none. Pick photos instead."
    const val CAMERA_REFUSED = "Expected leave to use the camera, got none. Give it in the settings, or pick photos."
    const val CAMERA_MISSING = "Expected a camera, found none. Pick photos instead."
    const val CAMERA_GONE = "Expected the camera, which another app has taken. Come back when it is free."
    const val PREVIEW = "What the camera sees"
    const val NO_PICKER = "Expected an app that shows files, found none. Take photos instead."
    const val NAME_EMPTY = "Expected a name, got none. Write what the photos show."
    const val NO_PHOTOS = "Expected photos to train on, got none. Add a class and give it photos."
    const val OTHER_MODEL =
        "Expected a model that says what is on photos, got one of arrays or numbers. Export one that was trained on photos."
    const val THE_PHOTO = "the photo"
    const val PROJECT_DAMAGED =
        "Expected the classes and photos as the app wrote them, got a damaged file. Name the classes again; the file " +
            "is kept as project.json.damaged."
    private const val SHOWN_DIFFERENCE = 0.05

    fun pick(name: String) = "Pick photos of $name"

    fun take(name: String) = "Take a photo of $name"

    fun classRow(
        name: String,
        photos: Int,
    ) = "$name: $photos photos"

    fun nameTaken(name: String) = "Expected a new name, got $name, which is there. Choose another one."

    fun classesFull(most: Int) = "Expected at most $most classes, which this model has. Export one for more."

    fun spareFull(most: Int) =
        "Expected at most $most new classes, for which this model has room. Export one with more --spare_classes."

    fun classAdded(name: String) = "Added $name. Give it photos."

    fun photosAdded(
        photos: Int,
        name: String,
        leftOut: Map<String, String> = emptyMap(),
    ): String {
        val others = leftOut.entries.joinToString("") { (photo, reason) -> "\nLeft out $photo: $reason" }
        return "Added $photos to $name.$others"
    }

    fun memory(bytes: Long) = String.format(Locale.getDefault(), "Training needs about %.1f MB of memory.", bytes / 1e6)

    fun live(
        step: Int,
        totalSteps: Int,
        accuracy: Double,
    ) = "Step $step of $totalSteps" + if (accuracy.isNaN()) "" else ", ${percent(accuracy)} right"

    fun trained(result: TrainerResult): String {
        val (before, after) = Pair(result.before, result.after)
        val accuracy =
            if (before == null || after == null) {
                "Trained: no photo is held out, and how well the model does is not known."
            } else {
                "Trained: ${percent(after.accuracy)} of the photos that were held out are right, " +
                    "${percent(before.accuracy)} before."
            }
        return accuracy + balanced(after) + applied(result)
    }

    /** Accuracy hides a class with few photos; the mean of the classes does not. */
    private fun balanced(result: EvaluateResult?): String {
        val balanced = result?.balancedAccuracy ?: return ""
        return if (abs(balanced - result.accuracy) >
            SHOWN_DIFFERENCE
        ) {
            " Mean of the classes: ${percent(balanced)}."
        } else {
            ""
        }
    }

    private fun applied(result: TrainerResult) =
        if (result.applied < result.steps) " ${result.applied} of ${result.steps} steps applied." else ""

    fun figures(
        name: String,
        result: ClassResult,
    ): String {
        val found =
            if (result.positives > 0) "${result.truePositives} of ${result.positives} found" else "no photo is held out"
        return "$name: $found, ${result.falsePositives} others taken for it"
    }

    fun answer(
        name: String,
        probability: Float,
    ) = "$name (${percent(probability.toDouble())})"

    fun unreadable(came: String?) = "Expected a photo that can be read, got: $came. Choose another one."

    fun cameraFailed(reason: String?) = "Expected the camera to start, got: $reason. Pick photos instead."

    fun diverged(reason: String?) = "The model is as it was before: $reason"

    fun startsAgain(reason: String?) = "The run starts again: $reason"

    private fun percent(part: Double) = String.format(Locale.getDefault(), "%.0f %%", 100 * part)
}
