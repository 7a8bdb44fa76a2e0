package org.tinytl

import java.io.File
import java.util.concurrent.CancellationException

/**
 * Trains a model on photos or arrays, as `tinytl adapt` does.
 *
 * With a state file, the run is saved there at its end, and to files next to it every [TrainerSettings.saveEvery] steps
 * and when it is canceled. [resume] continues from these files, even after the process died. A resumed run ends with
 * the same state as an uninterrupted run if the examples, settings, threads, XNNPACK and runtime are the same. Across
 * all processes, only one run at a time can write a state file.
 *
 * [run] blocks: call it on a background thread, for example of an executor.
 *
 * @param model the model to train
 * @param training the training examples
 * @param heldOut the held-out examples, see [Example.holdOut]; if the list is empty, the model is not evaluated
 * @param settings settings of the run
 * @param stateFile the `.tinytl` to write, or null to keep the learned values only in memory
 * @param listener receives the progress
 * @throws InputException if [training] is empty, an example has a label that is unknown to the model and cannot be
 *   added, or an example is an array for a model of photos or a photo for a model of arrays
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
        private val plan: TrainingPlan
        private val files = stateFile?.let { RunFiles(it) }
        private val feed: Feed

        @Volatile
        private var isCanceled = false

        init {
            if (training.isEmpty()) {
                throw Example.nothing(model.manifest)
            }
            plan = TrainingPlan(training.size, model.manifest, settings)
            feed = model.array?.let { ArrayFeed(it) } ?: PhotoFeed(model.manifest, plan)
            (training + heldOut).forEach { feed.checkKind(it) }
            val new = newClasses()
            val added = model.labels.drop(model.manifest.labels.size)
            if (new.size > model.spareClasses) {
                throw InputException(
                    "expected at most ${model.spareClasses} new classes, the spare ones of the model, got " +
                        "${new.size} (${listed(new)}); leave some out, or export the model with more --spare_classes",
                )
            }
            ClassNames.encoded(added + new)
            val targets = Targets(model.task, model.labels + new)
            (training + heldOut).forEach { targets.of(it) }
        }

        /** Whether there is a stopped run that [resume] can continue. */
        public val canResume: Boolean
            get() = files != null && files.progress.exists()

        /**
         * Trains from the model's current state; files of a stopped run are removed.
         *
         * @throws InputException if another run writes the state file, an example cannot be read, or a file cannot be
         *   written
         * @throws TrainingDivergedException if the training has diverged; nothing is saved
         * @throws CancellationException after [cancel], or when the thread is interrupted; the progress is saved
         */
        public fun run(): TrainerResult = locked { run(described(), null) }

        /**
         * Resumes a run that was stopped by [cancel] or by the end of its process.
         *
         * @throws InputException if no run was stopped, or it had different examples or settings; see also [run]
         * @throws TrainingDivergedException as [run]
         * @throws CancellationException as [run]
         */
        public fun resume(): TrainerResult = locked { resume(described(), null) }

        /**
         * Resumes the stopped run, or starts a new one. If this job has already finished its run, restores the state
         * and returns the figures of that run.
         *
         * @param job identifier of the job, the same at each start; null for a run without a job
         */
        internal fun runFor(job: String?): TrainerResult =
            locked {
                val described = described()
                finished(described, job)
                    ?: if (canResume) resume(described, job) else run(described, job)
            }

        /** Stops the run after the current step, or the next run before its first step; any thread may call it. */
        public fun cancel() {
            isCanceled = true
        }

        /**
         * Evaluates the model on the held-out examples; [cancel] does not stop it.
         *
         * @return the figures, or null if nothing is held out
         * @throws InputException if an example cannot be read or has a class that [run] would add to the model, or a
         *   prediction is not finite
         */
        public fun evaluate(): EvaluateResult? = measure({ }, ::broken)

        private fun run(
            described: RunSettings,
            job: String?,
        ): TrainerResult {
            newClasses().forEach { model.addClass(it) }
            files?.removeProgress()
            files?.finished?.delete()
            val before = measure({ stopIfCanceled(null) }, ::broken)
            before?.let { listener?.onEvaluated(false, it) }
            return train(TrainerProgress(described, before), job)
        }

        private fun resume(
            described: RunSettings,
            job: String?,
        ): TrainerResult {
            if (files == null) {
                throw InputException("expected the state file of the run to resume, got null; pass stateFile")
            }
            if (!model.manifest.savesOptimizer) {
                throw InputException(
                    "the state of this model does not hold its optimizer's slots, so that a resumed run would not " +
                        "end as one that was not stopped; start it again, or export the model with --save_optimizer",
                )
            }
            val progress = TrainerProgress.resume(files, model, described, plan.totalSteps)
            return train(progress, job)
        }

        private fun finished(
            described: RunSettings,
            job: String?,
        ): TrainerResult? {
            if (files == null || job == null) {
                return null
            }
            val run =
                try {
                    FinishedRun.find(files, job, described, plan.totalSteps)?.also { model.restore(files.state) }
                } catch (error: InputException) {
                    listener?.onWarning(error.message.orEmpty())
                    null
                } ?: return null
            files.removeProgress()
            return result(run.progress, run.after)
        }

        /** Lets one run at a time write the state file; checks for errors that would otherwise end the run late. */
        private inline fun locked(block: () -> TrainerResult): TrainerResult {
            if (files == null) {
                return block()
            }
            files.check(plan.totalSteps)
            return RunLock.take(files).use { block() }
        }

        private inline fun measure(
            beforeEach: () -> Unit,
            notFinite: (Float) -> TinyTlException,
        ): EvaluateResult? {
            if (heldOut.isEmpty()) {
                return null
            }
            val targets = Targets(model.task, model.labels).let { heldOut.map(it::of) }
            val evaluation = Evaluation(model.task, model.labels)
            for ((index, example) in heldOut.withIndex()) {
                beforeEach()
                val logits = model.infer(feed.forInference(example)).logits
                logits.find { it.isNaN() || it.isInfinite() }?.let { throw notFinite(it) }
                evaluation.add(logits, targets[index])
            }
            return evaluation.result()
        }

        private fun broken(logit: Float) =
            InputException(
                "expected finite logits, got $logit; reset the model or restore another state, and train with a " +
                    "lower learning rate",
            )

        private fun train(
            progress: TrainerProgress,
            job: String?,
        ): TrainerResult {
            val after =
                try {
                    trainSteps(progress)
                    val after = measure({ stopIfCanceled(progress) }) { Divergence.notFinite(it) }
                    checkLoss(progress, after)
                    Divergence.checkState(model.state())
                    after
                } catch (error: TrainingDivergedException) {
                    files?.removeProgress()
                    throw error
                }
            after?.let { listener?.onEvaluated(true, it) }
            if (files != null) {
                model.save(files.state)
                job?.let { FinishedRun(it, progress, after).write(files) }
                files.removeProgress()
            }
            return result(progress, after)
        }

        private fun trainSteps(progress: TrainerProgress) {
            val targets = Targets(model.task, model.labels).let { training.map(it::of) }
            for (epoch in 0 until settings.epochs) {
                val end = (epoch + 1) * plan.stepsPerEpoch
                val isOpen = progress.steps.size < end
                val order = if (isOpen) plan.order(epoch) else IntArray(0)
                while (progress.steps.size < end) {
                    stopIfCanceled(progress)
                    step(progress, order, targets)
                }
                val means = means(progress, epoch)
                Divergence.checkSteps(epoch + 1, means)
                if (isOpen) {
                    listener?.onEpoch(epoch + 1, means)
                }
            }
        }

        private fun step(
            progress: TrainerProgress,
            order: IntArray,
            targets: List<FloatArray>,
        ) {
            val done = progress.steps.size
            val places = plan.places(done, order)
            val batch = places.map { feed.forTraining(training[it.photo], it, done / plan.stepsPerEpoch) }
            val rate = plan.rate(done).toFloat()
            val started = System.nanoTime()
            val result = train(batch, places.map { targets[it.photo] }, rate)
            progress.steps += StepRecord(result, (System.nanoTime() - started) / NANOS)
            if (progress.steps.size % settings.saveEvery == 0) {
                save(progress)
            }
            listener?.onStep(progress.steps.size, plan.totalSteps, result)
        }

        private fun train(
            batch: List<ModelInput>,
            targets: List<FloatArray>,
            rate: Float,
        ): TrainResult =
            when (model.task) {
                Task.CLASSIFICATION -> {
                    model.step(batch, targets.map { target -> target.indexOfFirst { it == 1f } }.toIntArray(), rate)
                }

                Task.MULTILABEL, Task.REGRESSION -> {
                    val classes = model.labels.size
                    model.step(batch, FloatArray(targets.size * classes) { targets[it / classes][it % classes] }, rate)
                }
            }

        private fun stopIfCanceled(progress: TrainerProgress?) {
            if (isCanceled || Thread.interrupted()) {
                isCanceled = false
                progress?.let { save(it) }
                val steps = progress?.steps?.size ?: 0
                throw CancellationException("the training was canceled after $steps of ${plan.totalSteps} steps")
            }
        }

        private fun save(progress: TrainerProgress) {
            if (files != null) {
                Divergence.checkState(model.state())
                progress.save(files, model)
            }
        }

        private fun means(
            progress: TrainerProgress,
            epoch: Int,
        ): EpochResult =
            StepRecord.means(progress.steps.subList(epoch * plan.stepsPerEpoch, (epoch + 1) * plan.stepsPerEpoch))

        /** Without held-out examples, the losses of the steps are used. */
        private fun checkLoss(
            progress: TrainerProgress,
            after: EvaluateResult?,
        ) {
            val guess = model.task.guessLoss(model.labels.size)
            if (after != null) {
                Divergence.checkLoss(progress.before?.loss, after.loss, guess)
            } else {
                Divergence.checkLoss(progress.steps.first().loss, means(progress, settings.epochs - 1).loss, guess)
            }
        }

        private fun result(
            progress: TrainerProgress,
            after: EvaluateResult?,
        ): TrainerResult {
            val millis = progress.steps.map { it.millis }.sorted()
            return TrainerResult(
                before = progress.before,
                after = after,
                epochs = List(settings.epochs) { means(progress, it) },
                stepMillis = (millis[(millis.size - 1) / 2] + millis[millis.size / 2]) / 2,
            )
        }

        /** Returns the classes of the training examples that are new to the model, in the order of the examples. */
        private fun newClasses(): List<String> =
            if (settings.newClasses) Targets(model.task, model.labels).unknown(training) else emptyList()

        /** The settings that affect the results of the run. */
        private fun described(): RunSettings {
            val data =
                RunData(training, heldOut, model.manifest.examples) {
                    stopIfCanceled(null)
                    feed.check(it)
                }
            data.sharedWarning?.let { listener?.onWarning(it) }
            val values =
                mapOf(
                    "model" to Fingerprint.hex(model.fingerprint),
                    "epochs" to settings.epochs.toString(),
                    "learning_rate" to plan.learningRate.toString(),
                    "schedule" to plan.schedule.manifestName,
                    "seed" to settings.seed.toString(),
                    "threads" to model.threads.toString(),
                    "xnnpack" to model.xnnpack.toString(),
                )
            return RunSettings(values + feed.settings, data)
        }

        /** Removes the files of a stopped run. */
        public companion object {
            private const val NANOS = 1e6

            /**
             * Removes the files of a stopped run next to its state file, but not the state file.
             *
             * @param stateFile the state file of the run
             * @throws InputException if a run is writing it
             */
            @JvmStatic
            public fun discard(stateFile: File) {
                val files = RunFiles(stateFile)
                RunLock.take(files).use {
                    files.removeProgress()
                    files.finished.delete()
                }
            }
        }
    }
