package org.tinytl.sample

import android.os.Handler
import android.os.Looper
import org.tinytl.ClassNames
import org.tinytl.Example
import org.tinytl.InputException
import org.tinytl.Photo
import org.tinytl.Pixels
import org.tinytl.RgbImage
import org.tinytl.Task
import org.tinytl.TinyTlException
import org.tinytl.TinyTlModel
import org.tinytl.TrainResult
import org.tinytl.Trainer
import org.tinytl.TrainerListener
import org.tinytl.TrainerResult
import org.tinytl.TrainerSettings
import org.tinytl.TrainingDivergedException
import java.io.File
import java.io.IOException
import java.io.InputStream
import java.util.concurrent.CancellationException
import java.util.concurrent.Executors

/**
 * The model, the photos and the running task; all screens share one session.
 *
 * Long tasks run on a thread of their own; [observer] is called on the main thread after each change.
 *
 * @param folder folder of the app's own files
 * @param openModel opens the model
 */
internal class Session(
    folder: File,
    private val openModel: () -> TinyTlModel,
) {
    private val executor = Executors.newSingleThreadExecutor { Thread(it, "tinytl-session") }
    private val main = Handler(Looper.getMainLooper())
    private val learned = File(folder, "mine.tinytl")
    private val saved = File(folder, "saved.tinytl")
    private val opening = lazy { opened() }
    private var trainer: Trainer? = null
    private val warnings = LinkedHashSet<String>()

    /** The classes and their photos. */
    val project = Project(folder)

    /** The status to show; any thread may change it. */
    @Volatile
    var status = Status()
        private set

    /** Called on the main thread when the status has changed. */
    var observer: (() -> Unit)? = null

    /** The model, if it is open. */
    val model: TinyTlModel?
        get() = if (opening.isInitialized()) opening.value else null

    /** This app supports only models that classify photos. */
    private fun opened(): TinyTlModel {
        val model = openModel()
        if (model.array != null || model.task == Task.REGRESSION) {
            model.close()
            throw InputException(Strings.OTHER_MODEL)
        }
        if (learned.exists()) {
            model.restore(learned)
        }
        return model
    }

    /** Opens the model if it is not open. */
    fun open() {
        if (model == null) {
            work {
                opening.value
                project.problem ?: Strings.READY
            }
        }
    }

    /**
     * Adds a class of the user. In a model with spare outputs it gets one of these; in any other model it uses the next
     * output, whatever that output's name is.
     */
    fun addClass(name: String) {
        val model = model ?: return
        val typed = name.trim()
        if (typed.isEmpty()) {
            return show(Strings.NAME_EMPTY)
        }
        val chosen =
            try {
                ClassNames.entered(typed)
            } catch (error: InputException) {
                return show(error.message.orEmpty())
            }
        val names = project.classes().map { it.name }
        when {
            chosen in names -> show(Strings.nameTaken(chosen))
            model.learnsNames -> work { named(model, chosen) }
            names.size == model.labels.size -> show(Strings.classesFull(names.size))
            else -> project.addClass(chosen).also { show(Strings.classAdded(chosen)) }
        }
    }

    private fun named(
        model: TinyTlModel,
        name: String,
    ): String {
        val known = model.manifest.labels
        val most = model.manifest.spareClasses
        if (name !in known && project.classes().count { it.name !in known } == most) {
            return Strings.spareFull(most)
        }
        if (name !in model.labels) {
            model.addClass(name)
        }
        project.addClass(name)
        return Strings.classAdded(name)
    }

    /**
     * Copies photos into a class; photos that cannot be decoded are left out and reported.
     *
     * @param photos names of the photos, and functions that open them
     */
    fun addPhotos(
        index: Int,
        photos: List<Pair<String, () -> InputStream>>,
    ) = work {
        val leftOut = LinkedHashMap<String, String>()
        for ((name, open) in photos) {
            val file = project.newPhoto()
            val problem = copied(open, file)
            if (problem == null) {
                project.addPhoto(index, file)
            } else {
                file.delete()
                leftOut[name] = problem
            }
        }
        Strings.photosAdded(photos.size - leftOut.size, project.classes()[index].name, leftOut)
    }

    /** Copies a photo to [file]; returns the reason if it cannot be used, otherwise null. */
    private fun copied(
        open: () -> InputStream,
        file: File,
    ): String? =
        try {
            open().use { from -> file.outputStream().use { from.copyTo(it) } }
            Photo(Strings.THE_PHOTO) { file.inputStream() }.read(shortSide())
            null
        } catch (error: TinyTlException) {
            error.message.orEmpty()
        } catch (error: IOException) {
            Strings.unreadable(error.message)
        } catch (error: SecurityException) {
            Strings.unreadable(error.message)
        }

    /** Classifies a photo. */
    fun classify(photo: () -> InputStream) =
        work {
            answer(opening.value, Photo(Strings.THE_PHOTO, photo).read(shortSide()))
        }

    /** Classifies an image; any thread may call it. */
    fun answer(
        model: TinyTlModel,
        image: RgbImage,
    ): String {
        val pixels = Pixels.forInference(image, model.width, model.height, model.manifest.centralFraction)
        val probabilities = model.infer(pixels).probabilities
        val names = if (model.learnsNames) model.labels else project.classes().map { it.name }.ifEmpty { model.labels }
        val best = minOf(names.size, probabilities.size).let { used -> (0 until used).maxBy { probabilities[it] } }
        return Strings.answer(names[best], probabilities[best])
    }

    /** Trains, or resumes the run that was stopped. */
    fun train() =
        work(isTraining = true) {
            try {
                trained(fit(createTrainer()))
            } catch (_: CancellationException) {
                Strings.STOPPED
            } catch (error: TrainingDivergedException) {
                failed(error)
            }
        }

    /** Stops the run after the current step. */
    fun stop() {
        synchronized(this) { trainer }?.cancel()
    }

    /** Saves a copy of the learned state. */
    fun save() =
        work {
            opening.value.save(saved)
            Strings.SAVED
        }

    /** Restores the copy. */
    fun restore() =
        work {
            opening.value.restore(saved)
            keep()
            Strings.RESTORED
        }

    /** Resets the model and keeps photos and classes. */
    fun reset() =
        work {
            opening.value.reset()
            keep()
            Strings.RESET
        }

    /** Writes the learned state to a file for sharing, then calls [then] on the main thread. */
    fun share(
        file: File,
        then: () -> Unit,
    ) = work {
        opening.value.save(file)
        main.post(then)
        Strings.SHARED
    }

    /** Returns a trainer for the job, or null if a training is already running or no photo was added. */
    fun beginJob(): Trainer? {
        if (!begin(isTraining = true)) {
            return null
        }
        try {
            return createTrainer()
        } catch (error: TinyTlException) {
            endJob(error.message)
            return null
        }
    }

    /** The job of [beginJob] has ended. */
    fun endJob(message: String?) = end(message ?: Strings.STOPPED)

    /** Returns the message at the end of a run; its figures by class are shown separately. */
    fun trained(result: TrainerResult): String {
        val classes = result.after?.classes.orEmpty()
        val names = opening.value.let { model -> project.classes().associateBy({ outputOf(it, model) }, { it.name }) }
        val lines =
            names.entries.mapNotNull { (output, name) -> classes.getOrNull(output)?.let { Strings.figures(name, it) } }
        synchronized(this) { status = status.copy(figures = (lines + warnings).joinToString("\n")) }
        return Strings.trained(result)
    }

    /** Returns the message of a failed run; after a diverged run the model is restored. */
    fun failed(error: TinyTlException): String {
        if (error !is TrainingDivergedException) {
            return error.message.orEmpty()
        }
        if (learned.exists()) opening.value.restore(learned) else opening.value.reset()
        return Strings.diverged(error.message)
    }

    private fun outputOf(
        photoClass: PhotoClass,
        model: TinyTlModel,
    ): Int = (if (model.learnsNames) model.labels else project.classes().map { it.name }).indexOf(photoClass.name)

    private fun createTrainer(): Trainer {
        val model = opening.value
        val examples = project.examples(model.labels.takeUnless { model.learnsNames })
        if (examples.isEmpty()) {
            throw InputException(Strings.NO_PHOTOS)
        }
        val (training, heldOut, limits) = Example.holdOut(examples, model.manifest)
        synchronized(this) {
            warnings.clear()
            warnings += limits
        }
        val created = Trainer(model, training, heldOut, SETTINGS, learned, Listener())
        synchronized(this) { trainer = created }
        return created
    }

    /** Resumes a stopped run unless photos have changed since. */
    private fun fit(trainer: Trainer): TrainerResult {
        if (trainer.canResume) {
            try {
                return trainer.resume()
            } catch (error: InputException) {
                show(Strings.startsAgain(error.message))
            }
        }
        return trainer.run()
    }

    /** Saves the current state of the model; a stopped run can then no longer be resumed. */
    private fun keep() {
        Trainer.discard(learned)
        opening.value.save(learned)
    }

    private fun shortSide() = opening.value.let { Pixels.shortSide(it.width, it.height) }

    private fun work(
        isTraining: Boolean = false,
        block: () -> String,
    ) {
        if (!begin(isTraining)) {
            return
        }
        executor.execute {
            val message =
                try {
                    block()
                } catch (error: TinyTlException) {
                    error.message
                } catch (error: IOException) {
                    Strings.unreadable(error.message)
                } catch (error: SecurityException) {
                    Strings.unreadable(error.message)
                }
            end(message.orEmpty())
        }
    }

    private fun begin(isTraining: Boolean): Boolean {
        synchronized(this) {
            if (status.isBusy) {
                return false
            }
            status =
                Status(
                    isBusy = true,
                    isTraining = isTraining,
                    message = if (isTraining) Strings.TRAINING else "",
                    figures = if (isTraining) "" else status.figures,
                )
        }
        changed()
        return true
    }

    private fun end(message: String) {
        synchronized(this) {
            trainer = null
            status = status.copy(isBusy = false, isTraining = false, message = message)
            changed()
        }
    }

    private fun show(message: String) {
        synchronized(this) { status = status.copy(message = message) }
        changed()
    }

    private fun changed() {
        main.post { observer?.invoke() }
    }

    /** Shows the progress; the accuracy is smoothed, because it is noisy for few photos. */
    private inner class Listener : TrainerListener {
        private var accuracy = Double.NaN

        override fun onStep(
            step: Int,
            totalSteps: Int,
            result: TrainResult,
        ) {
            val last = result.accuracy.toDouble()
            if (!last.isNaN()) { // NaN is possible for a step that was not applied
                accuracy = if (accuracy.isNaN()) last else accuracy + (last - accuracy) / SPAN
            }
            synchronized(this@Session) {
                status = status.copy(step = step, totalSteps = totalSteps, accuracy = accuracy)
            }
            changed()
        }

        override fun onWarning(message: String) {
            synchronized(this@Session) { warnings += message }
        }
    }

    private companion object {
        const val SPAN = 5

        // A reset removes the added classes; the run adds them again.
        val SETTINGS = TrainerSettings(epochs = 10, saveEvery = 5, newClasses = true)

        /** Whether the model has outputs for new classes. */
        val TinyTlModel.learnsNames: Boolean
            get() = manifest.spareClasses > 0
    }
}
