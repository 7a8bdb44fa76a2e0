package org.tinytl

/**
 * Base of all errors that the library raises on purpose.
 *
 * Each message is one line: what was expected, what came, and a remedy that exists.
 */
public abstract class TinyTlException internal constructor(
    message: String,
    cause: Throwable?,
) : RuntimeException(message, cause)
