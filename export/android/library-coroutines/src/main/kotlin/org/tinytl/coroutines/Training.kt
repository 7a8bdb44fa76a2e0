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
 * If the coroutine is canceled, the trainer stops after the current step and saves its progress before this function
 * returns.
 *
 * @param dispatcher provides the thread that trains; it is blocked during the run
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
 * Returns the events of a run. Each collection starts or resumes a run; the last event is [Trained].
 *
 * A canceled collector stops the trainer after the current step; a slow collector does not block it.
 *
 * @param dispatcher provides the thread that trains; it is blocked during the run
 * @param create creates the trainer with the listener that it receives
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
