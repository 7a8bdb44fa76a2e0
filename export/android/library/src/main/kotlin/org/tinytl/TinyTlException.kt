package org.tinytl

/**
 * Base class of all errors of the library.
 *
 * Each message is one line with the expected value, the actual value, and a remedy.
 */
public abstract class TinyTlException internal constructor(
    message: String,
    cause: Throwable?,
) : RuntimeException(message.replace(LINE_BREAKS, " "), cause) {
    private companion object {
        val LINE_BREAKS = Regex("[\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]+")
    }
}
