package org.tinytl.coroutines

import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.buffer
import kotlinx.coroutines.flow.channelFlow
import org.tinytl.EpochResult
import org.tinytl.EvaluateResult
import org.tinytl.InputException
import org.tinytl.TrainResult
import org.tinytl.Trainer
import org.tinytl.TrainerListener
import org.tinytl.TrainerResult
import org.tinytl.TrainingDivergedException

/**
 * Trains, or resumes the run that was stopped.
 *
 * When the coroutine is canceled, the trainer stops after its present step, saves how far it was, and only then this
 * function ends.
 *
 * @param dispatcher has the thread that trains, which is blocked meanwhile
 * @throws InputException as [Trainer.run] and [Trainer.resume]
 * @throws TrainingDivergedException as [Trainer.run]
 * @throws CancellationException if the coroutine or the trainer is canceled
 */
public suspend fun Trainer.fitSuspending(dispatcher: CoroutineDispatcher = Dispatchers.IO): TrainerResult =
    coroutineScope {
        val training = async(dispatcher) { if (canResume) resume() else run() }
        try {
            training.await()
        } catch (error: CancellationException) {
            if (!training.isCompleted) {
                cancel()
            }
            throw error
        }
    }

/**
 * Returns the events of a run, which starts, or is resumed, with each collection; the last event is [Trained].
 *
 * A collector that is canceled stops the trainer after its present step; a slow one does not make it wait.
 *
 * @param dispatcher has the thread that trains, which is blocked meanwhile
 * @param create makes the trainer with the listener that it is given
 */
public fun trainingFlow(
    dispatcher: CoroutineDispatcher = Dispatchers.IO,
    create: (TrainerListener) -> Trainer,
): Flow<TrainingEvent> =
    channelFlow {
        val listener =
            object : TrainerListener {
                override fun onStep(
                    step: Int,
                    totalSteps: Int,
                    result: TrainResult,
                ) {
                    trySend(StepTaken(step, totalSteps, result))
                }

                override fun onEpoch(
                    epoch: Int,
                    result: EpochResult,
                ) {
                    trySend(EpochEnded(epoch, result))
                }

                override fun onEvaluated(
                    isTrained: Boolean,
                    result: EvaluateResult,
                ) {
                    trySend(Evaluated(isTrained, result))
                }

                override fun onWarning(message: String) {
                    trySend(Warned(message))
                }
            }
        send(Trained(create(listener).fitSuspending(dispatcher)))
    }.buffer(Channel.UNLIMITED)
