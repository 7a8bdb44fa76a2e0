package org.tinytl

/**
 * Thrown if the training has diverged: most steps of an epoch could not be applied, or the loss is far higher after the
 * training than before.
 *
 * Nothing was saved, and an older state file is unchanged. The model is as the training left it: reset it, or restore a
 * state.
 */
public class TrainingDivergedException(
    message: String,
) : TinyTlException(message, null)
