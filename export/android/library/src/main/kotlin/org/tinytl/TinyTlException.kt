package org.tinytl

/**
 * Base of all errors that the library raises on purpose.
 *
 * Each message is one line, with any quoted names: expected value, actual value, and a remedy.
 */
public abstract class TinyTlException internal constructor(
    message: String,
    cause: Throwable?,
) : RuntimeException(message.replace(LINE_BREAKS, " "), cause) {
    private companion object {
        val LINE_BREAKS = Regex("[\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]+")
    }
}
