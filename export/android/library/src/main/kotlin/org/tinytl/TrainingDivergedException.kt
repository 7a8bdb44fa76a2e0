package org.tinytl

/**
 * The training has diverged: most steps of an epoch could not be applied, or the loss after it is far above that
 * before.
 *
 * Nothing was saved, and an older state file is as it was. The model is as the training left it: reset it, or restore a
 * state.
 */
public class TrainingDivergedException(
    message: String,
) : TinyTlException(message, null)
