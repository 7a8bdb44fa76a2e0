package org.tinytl.sample

import org.tinytl.ClassResult
import org.tinytl.EvaluateResult
import org.tinytl.TrainerResult
import java.util.Locale
import kotlin.math.abs

/** All texts of the app, in one place to translate. The app has no resource files, so Maven builds it without aapt2. */
internal object Strings {
    const val READY = "Add two or more classes, and add a few photos to each."
    const val CLASS_NAME = "Class name"
    const val ADD_CLASS = "Add class"
    const val PICK = "Pick photos"
    const val TAKE = "Take photo"
    const val TRAIN = "Train"
    const val STOP = "Stop"
    const val TRAIN_LATER = "Train while charging"
    const val CLASSIFY_PICK = "Classify a photo"
    const val CLASSIFY_TAKE = "Classify with the camera"
    const val CLASSIFY_LIVE = "Live camera"
    const val SAVE = "Save"
    const val RESTORE = "Restore"
    const val RESET_MODEL = "Reset"
    const val SHARE = "Share"
    const val PROGRESS = "Training progress"
    const val TRAINING = "Training"
    const val STOPPED = "Stopped. Tap Train to continue."
    const val SAVED = "Saved."
    const val RESTORED = "Restored the saved state."
    const val RESET = "The model was reset."
    const val SHARED = "The file contains the learned values, and no photos."
    const val SCHEDULED = "The phone will train while it is charging."
    const val NO_CAMERA = "This phone has no app that takes photos. Pick photos instead."
    const val CAMERA_REFUSED = "The app has no permission to use the camera. Grant it in Settings, or pick photos."
    const val CAMERA_MISSING = "This phone has no camera. Pick photos instead."
    const val CAMERA_GONE = "Another app is using the camera. Try again later."
    const val PREVIEW = "Camera preview"
    const val NO_PICKER = "This phone has no app that picks files. Take photos instead."
    const val NAME_EMPTY = "Enter a name for the class."
    const val NO_PHOTOS = "Training needs photos. Add a class, and add photos to it."
    const val OTHER_MODEL =
        "This app needs a model that classifies photos, got one of arrays or numbers. Export a model that was " +
            "trained on photos."
    const val THE_PHOTO = "the photo"
    const val PROJECT_DAMAGED =
        "The list of classes and photos is damaged. Add the classes again; the damaged file is kept as " +
            "project.json.damaged."
    private const val SHOWN_DIFFERENCE = 0.05

    fun pick(name: String) = "Pick photos of $name"

    fun take(name: String) = "Take a photo of $name"

    fun classRow(
        name: String,
        photos: Int,
    ) = "$name: $photos photos"

    fun nameTaken(name: String) = "There is already a class $name. Choose another name."

    fun classesFull(most: Int) = "This model has only $most classes. Export a model with more classes."

    fun spareFull(most: Int) =
        "This model has room for only $most new classes. Export a model with more --spare_classes."

    fun classAdded(name: String) = "Added $name. Now add photos to it."

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
    ) = "Step $step of $totalSteps" + if (accuracy.isNaN()) "" else ", accuracy ${percent(accuracy)}"

    fun trained(result: TrainerResult): String {
        val (before, after) = Pair(result.before, result.after)
        val accuracy =
            if (before == null || after == null) {
                "Trained. No photos are held out, so the accuracy is unknown."
            } else {
                "Trained: accuracy on held-out photos ${percent(after.accuracy)}, before the training " +
                    "${percent(before.accuracy)}."
            }
        return accuracy + balanced(after) + applied(result)
    }

    /** Accuracy hides problems with rare classes; the mean over the classes does not. */
    private fun balanced(result: EvaluateResult?): String {
        val balanced = result?.balancedAccuracy ?: return ""
        return if (abs(balanced - result.accuracy) >
            SHOWN_DIFFERENCE
        ) {
            " Mean over the classes: ${percent(balanced)}."
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
            if (result.positives > 0) "${result.truePositives} of ${result.positives} correct" else "no photos held out"
        return "$name: $found, ${result.falsePositives} other photos mistaken for it"
    }

    fun answer(
        name: String,
        probability: Float,
    ) = "$name (${percent(probability.toDouble())})"

    fun unreadable(came: String?) = "The photo cannot be read: $came. Choose another photo."

    fun cameraFailed(reason: String?) = "The camera cannot be used: $reason. Pick photos instead."

    fun diverged(reason: String?) = "The model was restored: $reason"

    fun startsAgain(reason: String?) = "The training starts again: $reason"

    private fun percent(part: Double) = String.format(Locale.getDefault(), "%.0f %%", 100 * part)
}
