package org.tinytl

import org.json.JSONArray
import org.json.JSONObject

/**
 * The settings that affect the results of a run; a run is resumed only with the same settings.
 *
 * @param values the settings by name
 * @param data examples of the run
 */
internal class RunSettings(
    private val values: Map<String, String>,
    private val data: RunData,
) {
    /** The values that [requireSame] compares. */
    fun json(): JSONObject {
        val lists = JSONObject()
        data.identities.forEach { (name, identities) -> lists.put(name, JSONArray(identities)) }
        return JSONObject().put("values", JSONObject(values)).put("photos", lists)
    }

    /**
     * Compares with the settings of a stopped run.
     *
     * @param then output of [json] of the stopped run
     * @param remedy end of error messages
     * @throws InputException if something has changed; the message names it
     */
    fun requireSame(
        then: JsonFields,
        remedy: String,
    ) {
        val old = then.fields("values").let { it.names.associateWith(it::text) }
        for (name in (values.keys + old.keys).sorted()) {
            if (values[name] != old[name]) {
                throw changed("$name was ${old[name]} and is now ${values[name]}", remedy)
            }
        }
        for ((list, identities) in data.identities) {
            val before = then.fields("photos").texts(list)
            if (before.size != identities.size) {
                throw changed(
                    "the number of ${data.what} $list was ${before.size} and is now ${identities.size}",
                    remedy,
                )
            }
            val others = identities.indices.filter { identities[it] != before[it] }
            if (others.isNotEmpty()) {
                val named = listed(others.map { data.names.getValue(list)[it] })
                throw changed(
                    "${others.size} ${data.what} $list have different content, labels or positions ($named)",
                    remedy,
                )
            }
        }
    }

    private fun changed(
        what: String,
        remedy: String,
    ) = InputException(
        "expected the ${data.what} and settings of the stopped run, got different ones: $what; use the same, " +
            "or $remedy",
    )
}
