package org.tinytl

import org.json.JSONArray
import org.json.JSONException
import org.json.JSONObject

/**
 * Reads the fields of a JSON object; refuses missing fields and wrong types.
 *
 * @param values the object
 * @param where name of the object in errors, with a dot at the end unless it is empty
 * @param file name of the file in errors
 * @param remedy end of error messages
 */
internal class JsonFields(
    private val values: JSONObject,
    private val where: String,
    private val file: String,
    private val remedy: String,
) {
    val names: List<String>
        get() = values.keys().asSequence().toList()

    fun text(name: String): String = field(name, "text") { it as? String }

    /** Returns the text of a field that older files lack. */
    fun optionalText(
        name: String,
        otherwise: String = "",
    ): String = if (values.has(name)) text(name) else otherwise

    fun flag(name: String): Boolean = field(name, "true or false") { it as? Boolean }

    fun int(name: String): Int = field(name, "an integer", ::toInt)

    fun long(name: String): Long = field(name, "an integer", ::toLong)

    fun double(name: String): Double = field(name, "a finite number", ::toDouble)

    fun fields(name: String): JsonFields = wrap(name, field(name, "an object") { it as? JSONObject })

    fun texts(name: String): List<String> = list(name, "names") { it as? String }

    fun ints(name: String): List<Int> = list(name, "integers", ::toInt)

    fun doubles(name: String): List<Double> = list(name, "finite numbers", ::toDouble)

    /** Returns lists of numbers; null is an unknown number. */
    fun rows(name: String): List<List<Double?>> =
        list(name, "rows of finite numbers") { row ->
            (row as? JSONArray)?.let { items(it) }?.map {
                if (it == JSONObject.NULL) null else toDouble(it) ?: return@list null
            }
        }

    fun objects(name: String): List<JsonFields> = list(name, "objects") { it as? JSONObject }.map { wrap(name, it) }

    fun refuse(
        name: String,
        expected: String,
        came: Any?,
    ): Nothing = throw InputException("expected $expected as $where$name in $file, got ${shown(came)}; $remedy")

    private fun wrap(
        name: String,
        inner: JSONObject,
    ) = JsonFields(inner, "$where$name.", file, remedy)

    private fun <T : Any> field(
        name: String,
        expected: String,
        convert: (Any?) -> T?,
    ): T {
        if (!values.has(name)) {
            refuse(name, expected, "nothing")
        }
        return convert(values.opt(name)) ?: refuse(name, expected, values.opt(name))
    }

    private fun <T : Any> list(
        name: String,
        expected: String,
        convert: (Any?) -> T?,
    ): List<T> =
        items(field(name, "a list of $expected") { it as? JSONArray }).map {
            convert(it) ?: refuse(name, "a list of $expected", it)
        }

    private fun items(array: JSONArray): List<Any?> = List(array.length()) { array.opt(it) }

    private fun toLong(value: Any?): Long? = (value as? Int)?.toLong() ?: value as? Long

    private fun toInt(value: Any?): Int? = value as? Int

    private fun toDouble(value: Any?): Double? =
        (value as? Number)?.toDouble()?.takeUnless { it.isNaN() || it.isInfinite() }

    companion object {
        private const val SHOWN = 80

        private fun shown(value: Any?): String = value.toString().replace(Regex("\\s+"), " ").take(SHOWN)

        /** Parses the text of a file; see the class for the arguments. */
        fun parse(
            text: String,
            file: String,
            remedy: String,
        ): JsonFields =
            try {
                JsonFields(JSONObject(text), "", file, remedy)
            } catch (error: JSONException) {
                throw InputException("expected JSON in $file, got: ${shown(error.message)}; $remedy", error)
            } catch (error: StackOverflowError) {
                throw InputException("expected JSON in $file, got thousands of nested objects; $remedy", error)
            }
    }
}
