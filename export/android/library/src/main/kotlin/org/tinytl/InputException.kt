package org.tinytl

/** What was given cannot be used: a value, an image, a file, a model. Nothing has changed. */
public class InputException(
    message: String,
    cause: Throwable? = null,
) : TinyTlException(message, cause)
