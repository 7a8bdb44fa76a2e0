package org.tinytl

import org.json.JSONArray
import org.json.JSONObject

/** Stores an [EvaluateResult] in the files of a run. */
internal object EvaluateResultJson {
    private const val BALANCED = "balanced_accuracy"
    private const val NUMBERS = "numbers"

    fun write(result: EvaluateResult): JSONObject {
        val classes = JSONArray()
        for (each in result.classes) {
            val counts = listOf(each.positives, each.negatives, each.truePositives, each.falsePositives)
            classes.put(JSONObject().put("name", each.name).put("counts", JSONArray(counts)))
        }
        val values = JSONObject().put("accuracy", result.accuracy).put("loss", result.loss).put("classes", classes)
        result.balancedAccuracy?.let { values.put(BALANCED, it) }
        if (result.numbers.isNotEmpty()) {
            values.put(NUMBERS, JSONArray(result.numbers.map { number(it) }))
        }
        return values
    }

    /** Reads the output of [write]. */
    fun read(fields: JsonFields): EvaluateResult =
        EvaluateResult(
            fields.double("accuracy"),
            fields.double("loss"),
            if (BALANCED in fields.names) fields.double(BALANCED) else null,
            fields.objects("classes").map {
                val (positives, negatives, truePositives, falsePositives) = it.ints("counts")
                ClassResult(it.text("name"), positives, negatives, truePositives, falsePositives)
            },
            if (NUMBERS in fields.names) fields.objects(NUMBERS).map { number(it) } else emptyList(),
        )

    private fun number(result: NumberResult): JSONObject =
        JSONObject()
            .put("name", result.name)
            .put("count", result.count)
            .put("errors", JSONArray(listOf(result.absoluteError, result.squaredError, result.variance)))

    private fun number(fields: JsonFields): NumberResult {
        val (absolute, squared, variance) = fields.doubles("errors")
        return NumberResult(fields.text("name"), fields.int("count"), absolute, squared, variance)
    }
}
