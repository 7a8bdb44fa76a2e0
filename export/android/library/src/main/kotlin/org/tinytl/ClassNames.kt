package org.tinytl

import java.text.Normalizer

/** Names of classes, as all clients match them. */
internal object ClassNames {
    private const val REMEDY = "give each class a name of its own"
    private const val SHOWN = 80
    private const val SPACE = ' '.code

    private val unprintable =
        setOf(
            Character.CONTROL,
            Character.FORMAT,
            Character.SURROGATE,
            Character.PRIVATE_USE,
            Character.UNASSIGNED,
            Character.LINE_SEPARATOR,
            Character.PARAGRAPH_SEPARATOR,
            Character.SPACE_SEPARATOR,
        ).mapTo(HashSet()) { it.toInt() }

    /** The name in Unicode's form NFC. */
    fun normalized(name: String): String = Normalizer.normalize(name, Normalizer.Form.NFC)

    /**
     * Checks names of classes.
     *
     * @param names what should be names
     * @param taken names that other classes have, in Unicode's form NFC
     * @return the names in that form
     * @throws InputException if one is blank, cannot be printed, or is there twice
     */
    fun check(
        names: List<String>,
        taken: List<String> = emptyList(),
    ): List<String> {
        names.find { it.isBlank() || !isPrintable(it) }?.let {
            throw InputException("expected names of classes that can be printed, got ${shown(it)}; $REMEDY")
        }
        val seen = taken.toHashSet()
        return names.map { name ->
            normalized(name).also {
                if (!seen.add(it)) {
                    throw InputException("expected names of classes that differ, got ${shown(it)} twice; $REMEDY")
                }
            }
        }
    }

    private fun isPrintable(name: String): Boolean {
        var index = 0
        while (index < name.length) {
            val character = name.codePointAt(index)
            if (character != SPACE && Character.getType(character) in unprintable) {
                return false
            }
            index += Character.charCount(character)
        }
        return true
    }

    /** The name in quotes, each character that would break the line as its number. */
    private fun shown(name: String): String {
        val characters = name.take(SHOWN).map { if (isPrintable(it.toString())) "$it" else "\\u%04x".format(it.code) }
        return "\"${characters.joinToString("")}\""
    }
}
