package org.tinytl

import org.junit.Assert.assertTrue
import org.junit.Assert.fail

/** Runs [block], which has to refuse; returns the message, which has to be one line that contains [words]. */
internal fun refused(
    vararg words: String,
    block: () -> Unit,
): String {
    try {
        block()
    } catch (error: InputException) {
        val message = error.message.orEmpty()
        words.forEach { assertTrue("expected '$it' in: $message", it in message) }
        assertTrue("expected one line: $message", '\n' !in message)
        return message
    }
    fail("expected a refusal with ${words.toList()}")
    error("not reached")
}
