package org.tinytl

/** Names of the signatures of contracts 2 and 3, and of their inputs and outputs. */
internal object Tensors {
    const val INFER = "infer"
    const val TRAIN = "train"
    const val SAVE = "save"
    const val RESTORE = "restore"
    const val RESET = "reset"

    const val IMAGE = "image"
    const val ARRAY = "array"
    const val LABEL = "label"
    const val LEARNING_RATE = "learning_rate"
    const val LOSS = "loss"
    const val ACCURACY = "accuracy"
    const val APPLIED = "applied"
    const val LOGITS = "logits"
    const val PROBABILITIES = "probabilities"
    const val STATE = "state"
    const val RESTORED = "restored"
}
