package org.tinytl

/** Thrown for an invalid value, image, file or model. Nothing was changed. */
public class InputException(
    message: String,
    cause: Throwable? = null,
) : TinyTlException(message, cause)
