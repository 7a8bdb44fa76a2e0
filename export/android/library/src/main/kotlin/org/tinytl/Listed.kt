package org.tinytl

private const val SHOWN = 5

/** Returns the first few names for a message, and the number of all others. */
internal fun listed(names: Collection<String>): String {
    val rest = names.size - SHOWN
    return names.take(SHOWN).joinToString() + if (rest > 0) " and $rest more" else ""
}
