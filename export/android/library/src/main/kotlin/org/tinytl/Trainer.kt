package org.tinytl

import java.io.File
import java.util.Random
import java.util.concurrent.CancellationException

/**
 * Trains a model on photos, as `tinytl adapt` does.
 *
 * With a state file the run is saved there at its end, and every [TrainerSettings.saveEvery] steps, and when it is
 * canceled, to files next to it; [resume] goes on from them after the process died. A run that goes on ends with the
 * same state as one that was not stopped, with the same photos, settings, threads, XNNPACK and runtime.
 *
 * [run] blocks: call it on a thread of its own, for example of an executor.
 *
 * @param model the model; it is changed
 * @param training the examples to train on
 * @param heldOut the examples to measure by, see [Example.holdOut]
 * @param settings of the run
 * @param stateFile the `.tinytl` to write, or null to keep what is learnt in memory only
 * @param listener hears how far the run is
 * @throws InputException if there are no examples, or one has a label that the model does not know, or could not learn
 */
public class Trainer
    @JvmOverloads
    constructor(
        private val model: TinyTlModel,
        private val training: List<Example>,
        private val heldOut: List<Example>,
        private val settings: TrainerSettings = TrainerSettings(),
        private val stateFile: File? = null,
        private val listener: TrainerListener? = null,
    ) {
        private val augmentation = settings.augmentation ?: model.manifest.augmentation
        private val learningRate = settings.learningRate ?: model.manifest.learningRate
        private val stepsPerEpoch = maxOf(1, training.size / model.batchSize)
        private val totalSteps = Math.multiplyExact(settings.epochs, stepsPerEpoch)
        private val shortSide = Pixels.shortSide(model.width, model.height)

        @Volatile
        private var isCanceled = false

        /** The job that trains, if there is one that can be told from others. */
        private var job: String? = null

        init {
            if (training.isEmpty() || heldOut.isEmpty()) {
                throw InputException(
                    "expected photos to train on and photos to measure by, got ${training.size} and " +
                        "${heldOut.size}; take some of each class",
                )
            }
            val new = newClasses()
            if (new.size > model.spareClasses) {
                throw InputException(
                    "expected at most ${model.spareClasses} new classes, the spare ones of the model, got " +
                        "${new.size} (${new.joinToString()}); leave some out, or export the model with more --spare_classes",
                )
            }
            ClassNames.check(new, model.labels)
            (training + heldOut).forEach { target(it, model.labels + new) }
        }

        /** Whether a run was stopped that [resume] can go on with. */
        public val canResume: Boolean
            get() = stateFile != null && TrainerProgress.file(stateFile).exists()

        /**
         * Trains from the model's present state; what a stopped run left is removed.
         *
         * @throws InputException if a photo cannot be read or a file cannot be written
         * @throws TrainingDivergedException if no step of an epoch could be applied
         * @throws CancellationException after [cancel], or when the thread is interrupted; how far the run was is saved
         */
        public fun run(): TrainerResult {
            newClasses().forEach { model.addClass(it) }
            stateFile?.let {
                TrainerProgress.remove(it)
                FinishedRun.file(it).delete()
            }
            val before = measure { stopIfCanceled(null) }
            listener?.onEvaluated(false, before)
            return train(TrainerProgress(described(), before))
        }

        /**
         * Goes on with the run that was stopped: by [cancel], or because its process died.
         *
         * @throws InputException if there is no such run, or it had other photos or settings; and as [run]
         * @throws TrainingDivergedException as [run]
         * @throws CancellationException as [run]
         */
        public fun resume(): TrainerResult {
            val file =
                stateFile
                    ?: throw InputException(
                        "expected the state file whose run is to be gone on with, got null; give it",
                    )
            if (!model.manifest.savesOptimizer) {
                throw InputException(
                    "expected a model whose state holds its optimizer's slots, got one without, whose run would not " +
                        "end as one that was not stopped; start it again, or export the model with --save_optimizer",
                )
            }
            val progress = TrainerProgress.read(TrainerProgress.file(file), described(), totalSteps)
            model.restore(File(file.absoluteFile.parentFile, progress.state)) // and the classes that were added
            training.forEach { target(it) }
            return train(progress)
        }

        /**
         * Goes on with the run that was stopped, or starts one, unless this job has ended it already: then it brings
         * the state back and returns what the run measured.
         *
         * @param job names the job, the same each time it starts; null for one that cannot be told from others
         */
        internal fun runFor(job: String?): TrainerResult {
            this.job = job
            finished()?.let { return it }
            return if (canResume) resume() else run()
        }

        private fun finished(): TrainerResult? {
            val file = stateFile?.takeIf { it.exists() } ?: return null
            val name = job ?: return null
            val run = FinishedRun.find(FinishedRun.file(file), name, described(), totalSteps) ?: return null
            model.restore(file)
            TrainerProgress.remove(file)
            return result(run.progress, run.after)
        }

        /** Stops the run after the present step, or the next run before its first step; any thread may call it. */
        public fun cancel() {
            isCanceled = true
        }

        /**
         * Measures the model on the examples that were held out; [cancel] does not stop it.
         *
         * @throws InputException if a photo cannot be read, or has a class that the model does not know before [run]
         */
        public fun evaluate(): EvaluateResult = measure { }

        private inline fun measure(beforeEach: () -> Unit): EvaluateResult {
            val targets = heldOut.map { target(it) }
            var right = 0.0
            var loss = 0.0
            for ((index, example) in heldOut.withIndex()) {
                beforeEach()
                val image = example.image.read(shortSide)
                val pixels = Pixels.forInference(image, model.width, model.height, model.manifest.centralFraction)
                val logits = model.infer(pixels).logits
                logits.find { it.isNaN() || it.isInfinite() }?.let {
                    throw InputException(
                        "expected finite logits, got $it; reset the model or restore another state, and train with " +
                            "a lower learning rate",
                    )
                }
                loss += model.task.loss(logits, targets[index])
                right += model.task.correct(logits, targets[index])
            }
            return EvaluateResult(right / heldOut.size, loss / heldOut.size)
        }

        private fun train(progress: TrainerProgress): TrainerResult {
            while (progress.steps.size < totalSteps) {
                val epoch = progress.steps.size / stepsPerEpoch
                val order = order(epoch)
                while (progress.steps.size < (epoch + 1) * stepsPerEpoch) {
                    stopIfCanceled(progress)
                    step(progress, order, epoch)
                }
                val (loss, accuracy) = means(progress, epoch)
                listener?.onEpoch(epoch + 1, loss, accuracy)
            }
            val after = measure { stopIfCanceled(progress) }
            listener?.onEvaluated(true, after)
            if (stateFile != null) {
                model.save(stateFile)
                job?.let { FinishedRun(it, progress, after).write(FinishedRun.file(stateFile)) }
                TrainerProgress.remove(stateFile)
            }
            return result(progress, after)
        }

        private fun step(
            progress: TrainerProgress,
            order: List<Int>,
            epoch: Int,
        ) {
            val done = progress.steps.size
            val first = (done - epoch * stepsPerEpoch) * model.batchSize
            val chosen = List(model.batchSize) { order[(first + it) % order.size] }
            val batch = chosen.map { augmented(it, epoch) }
            val rate = settings.schedule.rate(done, totalSteps, learningRate).toFloat()
            val started = System.nanoTime()
            val result = train(batch, chosen, rate)
            val millis = (System.nanoTime() - started) / NANOS
            val applied = if (result.applied) 1.0 else 0.0
            val numbers = doubleArrayOf(result.loss.toDouble(), result.accuracy.toDouble(), applied, millis)
            progress.steps += DoubleArray(numbers.size) { finite(numbers[it]) }
            if (progress.steps.size % settings.saveEvery == 0) {
                save(progress)
            }
            listener?.onStep(progress.steps.size, totalSteps, result)
        }

        private fun train(
            batch: List<ByteArray>,
            chosen: List<Int>,
            rate: Float,
        ): TrainResult {
            val targets = chosen.map { target(training[it]) }
            return when (model.task) {
                Task.CLASSIFICATION -> {
                    model.train(batch, targets.map { target -> target.indexOfFirst { it == 1f } }.toIntArray(), rate)
                }

                Task.MULTILABEL -> {
                    val classes = model.labels.size
                    model.train(batch, FloatArray(targets.size * classes) { targets[it / classes][it % classes] }, rate)
                }
            }
        }

        private fun augmented(
            index: Int,
            epoch: Int,
        ): ByteArray {
            val image = Pixels.shrink(training[index].image.read(shortSide), shortSide)
            val random = random(epoch, index + 1)
            return augmentation.apply(image, model.width, model.height, model.manifest.centralFraction, random).pixels
        }

        private fun order(epoch: Int): List<Int> = training.indices.shuffled(random(epoch, 0))

        /** A source of randomness that depends on the seed, the epoch and the index of a photo alone. */
        private fun random(
            epoch: Int,
            index: Int,
        ): Random = Random(mixed(mixed(mixed(settings.seed) + epoch) + index))

        /** Spreads what differs in a few bits over all of them (the finalizer of SplitMix64). */
        private fun mixed(value: Long): Long {
            var bits = value + 0x9E3779B97F4A7C15uL.toLong()
            bits = (bits xor (bits ushr 30)) * 0xBF58476D1CE4E5B9uL.toLong()
            bits = (bits xor (bits ushr 27)) * 0x94D049BB133111EBuL.toLong()
            return bits xor (bits ushr 31)
        }

        private fun stopIfCanceled(progress: TrainerProgress?) {
            if (isCanceled || Thread.interrupted()) {
                isCanceled = false
                progress?.let { save(it) }
                val steps = progress?.steps?.size ?: 0
                throw CancellationException("the training was canceled after $steps of $totalSteps steps")
            }
        }

        /** The state goes first, under a name of its own: the progress names one that is whole. */
        private fun save(progress: TrainerProgress) {
            val file = stateFile ?: return
            val old = progress.state
            val state = TrainerProgress.stateFile(file, progress.steps.size)
            model.save(state)
            progress.state = state.name
            progress.write(TrainerProgress.file(file))
            if (old.isNotEmpty() && old != state.name) {
                File(state.parentFile, old).delete()
            }
        }

        private fun means(
            progress: TrainerProgress,
            epoch: Int,
        ): Pair<Double, Double> {
            val rows = progress.steps.subList(epoch * stepsPerEpoch, (epoch + 1) * stepsPerEpoch)
            val good = rows.filter { it[2] != 0.0 }
            if (good.isEmpty()) {
                throw TrainingDivergedException(
                    "no step of epoch ${epoch + 1} could be applied: its loss or gradients are not finite; lower " +
                        "the learning rate or start from another state",
                )
            }
            return Pair(good.sumOf { it[0] } / good.size, good.sumOf { it[1] } / good.size)
        }

        private fun result(
            progress: TrainerProgress,
            after: EvaluateResult,
        ): TrainerResult {
            val means = List(settings.epochs) { means(progress, it) }
            val millis = progress.steps.map { it[3] }.sorted()
            return TrainerResult(
                before = progress.before,
                after = after,
                losses = means.map { it.first },
                accuracies = means.map { it.second },
                steps = progress.steps.size,
                applied = progress.steps.count { it[2] != 0.0 },
                stepMillis = (millis[(millis.size - 1) / 2] + millis[millis.size / 2]) / 2,
            )
        }

        /** Classes to train on that the model does not know yet, in the order of the examples. */
        private fun newClasses(): List<String> {
            if (!settings.newClasses) {
                return emptyList()
            }
            val names = training.flatMap { it.labels }.mapTo(LinkedHashSet()) { ClassNames.normalized(it) }
            return (names - model.labels.toSet()).toList()
        }

        /** A number for each class: 1 for those of the example. */
        private fun target(
            example: Example,
            classes: List<String> = model.labels,
        ): FloatArray {
            val names = example.labels.mapTo(HashSet()) { ClassNames.normalized(it) }
            val unknown = names - classes.toSet()
            if (unknown.isNotEmpty()) {
                throw InputException(
                    "expected labels that the model knows (${classes.joinToString()}), got " +
                        "${unknown.joinToString()} for ${example.image.name}; rename or leave out these, set " +
                        "newClasses, or export a model for them",
                )
            }
            if (model.task == Task.CLASSIFICATION && names.size != 1) {
                throw InputException(
                    "expected one class for ${example.image.name}, got ${names.size}; give the one that the photo " +
                        "shows most",
                )
            }
            return FloatArray(classes.size) { if (classes[it] in names) 1f else 0f }
        }

        /** What the numbers of a run depend on. */
        private fun described(): Map<String, String> =
            mapOf(
                "model" to Fingerprint.hex(model.fingerprint),
                "training" to described(training),
                "held_out" to described(heldOut),
                "epochs" to settings.epochs.toString(),
                "learning_rate" to learningRate.toString(),
                "schedule" to settings.schedule.name,
                "seed" to settings.seed.toString(),
                "augmentation" to augmentation.toString(),
                "threads" to model.threads.toString(),
                "xnnpack" to model.xnnpack.toString(),
            )

        private fun described(examples: List<Example>): String =
            Fingerprint.hex(
                Fingerprint.of(examples.joinToString("\u0000") { "${it.image.name}\u0000${it.labels.sorted()}" }),
            )

        private fun finite(value: Double) = if (value.isNaN() || value.isInfinite()) NOT_FINITE else value

        private companion object {
            const val NANOS = 1e6
            const val NOT_FINITE = -1.0 // JSON has no other number for the loss of a step that was not applied
        }
    }
