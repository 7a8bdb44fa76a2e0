package org.tinytl

/** A loss, gradient or weight is not finite any more; what was saved before is whole. */
public class TrainingDivergedException(
    message: String,
) : TinyTlException(message, null)
