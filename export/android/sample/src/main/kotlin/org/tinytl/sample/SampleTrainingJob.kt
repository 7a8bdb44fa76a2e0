package org.tinytl.sample

import android.app.job.JobParameters
import org.tinytl.TinyTlException
import org.tinytl.Trainer
import org.tinytl.TrainerResult
import org.tinytl.TrainingJob

/** Trains on the user's photos while the phone is charging. */
class SampleTrainingJob : TrainingJob() {
    private val session get() = (application as SampleApplication).session
    private var isMine = false
    private var message: String? = null

    override fun createTrainer(parameters: JobParameters): Trainer? = session.beginJob().also { isMine = it != null }

    override fun onTrained(result: TrainerResult) {
        message = session.trained(result)
    }

    override fun onFailed(error: TinyTlException) {
        message = session.failed(error)
    }

    override fun release() {
        if (isMine) {
            session.endJob(message)
        }
    }

    internal companion object {
        const val ID = 1
    }
}
