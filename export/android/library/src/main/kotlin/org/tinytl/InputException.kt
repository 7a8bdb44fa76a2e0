package org.tinytl

/** An invalid value, image, file or model. Nothing has changed. */
public class InputException(
    message: String,
    cause: Throwable? = null,
) : TinyTlException(message, cause)
