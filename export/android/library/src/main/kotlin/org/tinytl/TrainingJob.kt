package org.tinytl

import android.app.job.JobInfo
import android.app.job.JobParameters
import android.app.job.JobScheduler
import android.app.job.JobService
import android.content.ComponentName
import android.content.Context
import android.os.PersistableBundle
import android.os.Process
import java.util.UUID
import java.util.concurrent.CancellationException
import java.util.concurrent.Executors

/**
 * Trains in the background when the system schedules it.
 *
 * A job resumes from the trainer's state file after the system stopped it, the process died or the phone restarted. It
 * needs a [Trainer] with a state file, and a model with the optimizer's slots in its state. One job trains at a time.
 *
 * The app's manifest must declare the subclass, and request the permission for jobs that persist over restarts:
 *
 * ```
 * <uses-permission android:name="android.permission.RECEIVE_BOOT_COMPLETED" />
 * <service android:name=".MyTrainingJob" android:permission="android.permission.BIND_JOB_SERVICE" />
 * ```
 */
public abstract class TrainingJob : JobService() {
    private val lock = Any()
    private var present: Run? = null

    /**
     * Returns the trainer to run, or null if there is nothing left to train.
     *
     * It is called on the thread that trains, at each start of the job. Use the same photos in the same order and the
     * same settings each time: otherwise the run cannot be resumed.
     */
    protected abstract fun createTrainer(parameters: JobParameters): Trainer?

    /**
     * The run has ended and its state is saved; called on the thread that trains. It is called again, without more
     * training, if the process died before the system was notified.
     */
    protected open fun onTrained(result: TrainerResult) {
    }

    /** The run has failed, and the job ends; called on the thread that trains. */
    protected open fun onFailed(error: TinyTlException) {
    }

    /** Frees the resources of [createTrainer]; called last, after the run has ended, failed or was stopped. */
    protected open fun release() {
    }

    /** Starts the training. */
    final override fun onStartJob(parameters: JobParameters): Boolean {
        val run = Run(parameters)
        synchronized(lock) { present = run }
        executor.execute(run)
        return true
    }

    /** Stops after the current step; the system starts the job again when its conditions are met. */
    final override fun onStopJob(parameters: JobParameters): Boolean {
        synchronized(lock) { present }?.stop()
        return true
    }

    private inner class Run(
        private val parameters: JobParameters,
    ) : Runnable {
        private var trainer: Trainer? = null
        private var isStopped = false

        override fun run() {
            Process.setThreadPriority(Process.THREAD_PRIORITY_BACKGROUND)
            try {
                start()?.let { onTrained(it.runFor(parameters.extras?.getString(RUN))) }
            } catch (_: CancellationException) {
                // The progress is saved.
            } catch (error: TinyTlException) {
                onFailed(error)
            } finally {
                release()
            }
            if (!synchronized(this) { isStopped }) {
                jobFinished(parameters, false)
            }
        }

        @Synchronized
        fun stop() {
            isStopped = true
            trainer?.cancel()
        }

        /** Returns the trainer to run; null if the job was stopped while it waited for another job. */
        private fun start(): Trainer? {
            if (synchronized(this) { isStopped }) {
                return null
            }
            val created = createTrainer(parameters)
            synchronized(this) {
                trainer = created
                return created.takeUnless { isStopped }
            }
        }
    }

    /** Schedules jobs. */
    public companion object {
        private const val BACKOFF_MILLIS = 30_000L
        private const val RUN = "org.tinytl.run"

        // A restarted job waits until the last step of the stopped job is saved.
        private val executor = Executors.newSingleThreadExecutor { Thread(it, "tinytl-training") }

        /**
         * Schedules a training and replaces a job with the same ID. The job persists over restarts of the phone.
         *
         * @param context context of the app
         * @param job subclass of the app
         * @param id ID of the job, unique among all jobs of the app
         * @param charging whether to wait until the phone is charging
         * @param idle whether to wait until the phone is idle
         * @throws InputException if the manifest lacks the service or the permission, or the app has too many jobs
         */
        @JvmStatic
        @JvmOverloads
        public fun schedule(
            context: Context,
            job: Class<out TrainingJob>,
            id: Int,
            charging: Boolean = true,
            idle: Boolean = false,
        ) {
            val builder = JobInfo.Builder(id, ComponentName(context, job))
            // Each request is trained once, even if the process dies before the system is notified of its end.
            val extras = PersistableBundle()
            extras.putString(RUN, UUID.randomUUID().toString())
            builder.setExtras(extras)
            builder.setRequiresCharging(charging)
            builder.setRequiresDeviceIdle(idle)
            if (!idle) { // an idle job cannot have a back-off policy
                builder.setBackoffCriteria(BACKOFF_MILLIS, JobInfo.BACKOFF_POLICY_LINEAR)
            }
            if (!charging && !idle) {
                builder.setOverrideDeadline(0) // older systems refuse a job without constraints
            }
            val accepted =
                try {
                    builder.setPersisted(true)
                    scheduler(context).schedule(builder.build())
                } catch (error: IllegalArgumentException) {
                    throw unschedulable(job, error.message, error)
                }
            if (accepted != JobScheduler.RESULT_SUCCESS) {
                throw unschedulable(job, "a refusal", null)
            }
        }

        /** Cancels a job; a running one is stopped after its current step, and its progress is kept. */
        @JvmStatic
        public fun cancel(
            context: Context,
            id: Int,
        ) {
            scheduler(context).cancel(id)
        }

        private fun scheduler(context: Context): JobScheduler =
            context.getSystemService(Context.JOB_SCHEDULER_SERVICE) as JobScheduler

        private fun unschedulable(
            job: Class<*>,
            came: String?,
            cause: Throwable?,
        ) = InputException(
            "expected the system to accept the job ${job.name}, got: $came; declare it as a service with the " +
                "permission BIND_JOB_SERVICE, request RECEIVE_BOOT_COMPLETED, and schedule at most 100 jobs",
            cause,
        )
    }
}
