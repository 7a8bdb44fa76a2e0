package org.tinytl

import org.json.JSONArray
import org.json.JSONObject

/** Keeps an [EvaluateResult] in the files of a run. */
internal object EvaluateResultJson {
    private const val BALANCED = "balanced_accuracy"

    fun write(result: EvaluateResult): JSONObject {
        val classes = JSONArray()
        for (each in result.classes) {
            val counts = listOf(each.positives, each.negatives, each.truePositives, each.falsePositives)
            classes.put(JSONObject().put("name", each.name).put("counts", JSONArray(counts)))
        }
        val values = JSONObject().put("accuracy", result.accuracy).put("loss", result.loss).put("classes", classes)
        result.balancedAccuracy?.let { values.put(BALANCED, it) }
        return values
    }

    /** Reads what [write] wrote. */
    fun read(fields: JsonFields): EvaluateResult =
        EvaluateResult(
            fields.double("accuracy"),
            fields.double("loss"),
            if (BALANCED in fields.names) fields.double(BALANCED) else null,
            fields.objects("classes").map {
                val (positives, negatives, truePositives, falsePositives) = it.ints("counts")
                ClassResult(it.text("name"), positives, negatives, truePositives, falsePositives)
            },
        )
}
