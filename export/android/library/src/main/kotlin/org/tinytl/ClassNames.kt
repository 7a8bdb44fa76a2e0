package org.tinytl

import java.text.Normalizer

/**
 * Names of classes and attributes: which are valid, and when two are the same.
 *
 * The rule is in `docs/formats.md`. It needs no Unicode table, so that all clients agree on any device.
 */
public object ClassNames {
    private const val REMEDY = "give each class a name of its own"
    private const val SHOWN = 80
    private const val MOST_BYTES = 255

    /** Largest size in bytes of the names of all added classes in a state file. */
    internal const val MOST_BYTES_IN_ALL: Int = 1 shl 20

    private const val SPACE = ' '.code
    private val forbidden = listOf(0x00..0x1F, 0x7F..0x9F, 0x2028..0x2029)
    private val invisible =
        listOf(
            SPACE..SPACE,
            0xA0..0xA0,
            0xAD..0xAD,
            0x1680..0x1680,
            0x180E..0x180E,
            0x2000..0x200F,
            0x202A..0x202F,
            0x205F..0x206F,
            0x3000..0x3000,
            0xFEFF..0xFEFF,
        )

    /**
     * Checks a name, and returns it in Unicode's form NFC.
     *
     * Call it for new names, such as text from the user or the name of a folder. [TinyTlModel.addClass] calls it.
     *
     * @param name the name as the user wrote it
     * @throws InputException if it is empty or longer than 255 bytes of UTF-8, has a control character or line
     *   separator, or has no visible character
     */
    @JvmStatic
    public fun entered(name: String): String = normalized(name).also { check(it) }

    /** Returns the name in Unicode's form NFC, in which names are compared. */
    internal fun normalized(name: String): String = Normalizer.normalize(name, Normalizer.Form.NFC)

    /**
     * Checks names that must not be changed; two names are the same if their bytes are.
     *
     * @param taken names of other classes
     * @throws InputException if a name is invalid, see [entered], or occurs twice
     */
    internal fun check(
        names: List<String>,
        taken: List<String> = emptyList(),
    ) {
        names.forEach { check(it) }
        val seen = taken.toHashSet()
        names.find { !seen.add(it) }?.let { throw twice(it) }
    }

    /**
     * Returns the names of added classes in the encoding of a state file.
     *
     * @throws InputException as [check], or if the names together are too long for the file
     */
    internal fun encoded(names: List<String>): ByteArray {
        check(names)
        val content = names.joinToString("\n").toByteArray()
        if (content.size > MOST_BYTES_IN_ALL) {
            throw InputException(
                "expected names of added classes of at most $MOST_BYTES_IN_ALL bytes in all, got ${content.size}; " +
                    "give shorter names",
            )
        }
        return content
    }

    /** Returns the error for a name that another class has. */
    internal fun twice(name: String) =
        InputException("expected names of classes that differ, got ${shown(name)} twice; $REMEDY")

    /** Returns the name in quotes; invisible characters and line breaks are written as their numbers. */
    internal fun shown(name: String): String {
        val characters =
            codePoints(name).take(SHOWN).map {
                if (it != SPACE && (isForbidden(it) || isIn(it, invisible))) {
                    "\\u%04x".format(it)
                } else {
                    String(Character.toChars(it))
                }
            }
        return "\"${characters.joinToString("")}\""
    }

    private fun check(name: String) {
        val points = codePoints(name)
        val bytes = points.sumOf { bytes(it) }
        val got =
            when {
                points.isEmpty() -> "an empty name"
                points.any { isForbidden(it) } -> shown(name)
                points.all { isIn(it, invisible) } -> "${shown(name)}, which is invisible"
                bytes > MOST_BYTES -> "$bytes bytes, ${shown(name)}"
                else -> return
            }
        throw InputException(
            "expected visible names of classes of 1 to $MOST_BYTES bytes, without control characters and line " +
                "breaks, got $got; $REMEDY",
        )
    }

    private fun codePoints(name: String): List<Int> {
        val points = ArrayList<Int>(name.length)
        var index = 0
        while (index < name.length) {
            points += name.codePointAt(index).also { index += Character.charCount(it) }
        }
        return points
    }

    private fun isForbidden(point: Int): Boolean = isIn(point, forbidden) || isHalf(point)

    /** Whether this is an unpaired surrogate, which UTF-8 cannot encode. */
    private fun isHalf(point: Int): Boolean = point in 0xD800..0xDFFF

    private fun isIn(
        point: Int,
        ranges: List<IntRange>,
    ): Boolean = ranges.any { point in it }

    private fun bytes(point: Int): Int =
        when {
            point < 0x80 -> 1
            point < 0x800 -> 2
            point < 0x10000 -> 3
            else -> 4
        }
}
