package org.tinytl

private const val SHOWN = 5

/** Names in a message: the first few, and how many more there are. */
internal fun listed(names: Collection<String>): String {
    val rest = names.size - SHOWN
    return names.take(SHOWN).joinToString() + if (rest > 0) " and $rest more" else ""
}
