package org.tinytl

import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Test
import kotlin.math.exp
import kotlin.math.ln

/** Figures by class, and those over all. */
class EvaluationTest {
    @Test
    fun `rare classes that are never found show`() {
        val evaluation = Evaluation(Task.CLASSIFICATION, listOf("a", "b", "c", "d"))
        // 20 of a, 1 of b, 1 of c, none of d; all are taken for a, but for one of a that is taken for d.
        repeat(19) { evaluation.add(floatArrayOf(2f, 0f, 0f, 0f), one(0)) }
        evaluation.add(floatArrayOf(0f, 0f, 0f, 1f), one(0))
        evaluation.add(floatArrayOf(2f, 0f, 0f, 0f), one(1))
        evaluation.add(floatArrayOf(2f, 1f, 0f, 0f), one(2))
        val result = evaluation.result()
        assertEquals(
            listOf(
                ClassResult("a", 20, 2, 19, 2),
                ClassResult("b", 1, 21, 0, 0),
                ClassResult("c", 1, 21, 0, 0),
                ClassResult("d", 0, 22, 0, 1),
            ),
            result.classes,
        )
        assertEquals(19 / 22.0, result.accuracy, 1e-12)
        assertEquals(0.95 / 3, checkNotNull(result.balancedAccuracy), 1e-12)
        assertEquals(listOf(0.95, 0.0, 0.0, null), result.classes.map { it.recall })
        assertEquals(listOf(19 / 21.0, null, null, 0.0), result.classes.map { it.precision })
        val loss = { logits: List<Double>, label: Int -> ln(logits.sumOf { exp(it) }) - logits[label] }
        val expected =
            19 * loss(listOf(2.0, 0.0, 0.0, 0.0), 0) + loss(listOf(0.0, 0.0, 0.0, 1.0), 0) +
                loss(listOf(2.0, 0.0, 0.0, 0.0), 1) + loss(listOf(2.0, 1.0, 0.0, 0.0), 2)
        assertEquals(expected / 22, result.loss, 1e-9)
    }

    @Test
    fun `of equal logits the first is the answer`() {
        val evaluation = Evaluation(Task.CLASSIFICATION, listOf("a", "b", "c", "d"))
        evaluation.add(floatArrayOf(-0f, 0f, 0f, -1f), one(0))
        assertEquals(1.0, evaluation.result().accuracy, 0.0)
    }

    @Test
    fun `rare attributes that are never found show`() {
        val evaluation = Evaluation(Task.MULTILABEL, listOf("common", "rare", "never", "always"))
        // The answers are above 1/2 for `common` and `always`; a logit of 0 is 1/2 and no.
        repeat(9) { evaluation.add(floatArrayOf(1f, -1f, 0f, 1f), floatArrayOf(1f, 0f, 0f, 1f)) }
        evaluation.add(floatArrayOf(1f, 0f, 0f, 1f), floatArrayOf(0f, 1f, 0f, 1f))
        val result = evaluation.result()
        assertEquals(
            listOf(
                ClassResult("common", 9, 1, 9, 1),
                ClassResult("rare", 1, 9, 0, 0),
                ClassResult("never", 0, 10, 0, 0),
                ClassResult("always", 10, 0, 10, 0),
            ),
            result.classes,
        )
        assertEquals(38 / 40.0, result.accuracy, 1e-12)
        // `never` and `always` have images of one kind only.
        assertEquals(((1.0 + 0.0) / 2 + (0.0 + 1.0) / 2) / 2, checkNotNull(result.balancedAccuracy), 1e-12)
        assertEquals(listOf(1.0, 0.0, null, 1.0), result.classes.map { it.recall })
        assertEquals(listOf(0.9, null, null, 1.0), result.classes.map { it.precision })
    }

    @Test
    fun `a label of exactly one half is no, as a probability of one half is`() {
        val evaluation = Evaluation(Task.MULTILABEL, listOf("a", "b"))
        evaluation.add(floatArrayOf(0f, 1f), floatArrayOf(0.5f, 0.51f))
        assertEquals(listOf(ClassResult("a", 0, 1, 0, 0), ClassResult("b", 1, 0, 1, 0)), evaluation.result().classes)
    }

    @Test
    fun `without attributes of both kinds there is no balanced accuracy`() {
        val evaluation = Evaluation(Task.MULTILABEL, listOf("a"))
        evaluation.add(floatArrayOf(1f), floatArrayOf(1f))
        assertNull(evaluation.result().balancedAccuracy)
    }

    @Test
    fun `each predicted number has its error and its share of the variance`() {
        val evaluation = Evaluation(Task.REGRESSION, listOf("rate", "same"))
        evaluation.add(floatArrayOf(1f, 0.1f), floatArrayOf(2f, 0.1f))
        evaluation.add(floatArrayOf(4.5f, -0.9f), floatArrayOf(4f, 0.1f))
        evaluation.add(floatArrayOf(6f, 0.1f), floatArrayOf(6f, 0.1f))
        val result = evaluation.result()
        // Errors of 1, 0.5 and 0, and of 0, 1 and 0; an error of exactly 0.5 is right.
        assertEquals(4 / 6.0, result.accuracy, 1e-9)
        assertEquals(2.25 / 6, result.loss, 1e-6)
        assertEquals(null to emptyList<ClassResult>(), result.balancedAccuracy to result.classes)
        val (rate, same) = result.numbers
        assertEquals(listOf("rate" to 3, "same" to 3), result.numbers.map { it.name to it.count })
        assertEquals(0.5, rate.absoluteError, 1e-9)
        assertEquals(1.25 / 3, rate.squaredError, 1e-9)
        assertEquals(8 / 3.0, rate.variance, 1e-9)
        assertEquals(1 - 1.25 / 8, checkNotNull(rate.r2), 1e-9)
        assertEquals(1 / 3.0, same.absoluteError, 1e-6)
        assertEquals(0.0 to null, same.variance to same.r2)
    }

    @Test
    fun `equal labels have no variance, whatever rounding leaves`() {
        for ((count, label) in listOf(1 to 0f, 3 to 0.1f, 127 to 2.0139f)) { // of the last one it leaves 9e-16
            val evaluation = Evaluation(Task.REGRESSION, listOf("same"))
            repeat(count) { evaluation.add(floatArrayOf(1f), floatArrayOf(label)) }
            val (same) = evaluation.result().numbers
            assertNull(same.r2)
        }
    }

    @Test
    fun `figures are kept in files as they are`() {
        val classes = listOf(ClassResult("花\n\"", 3, 1, 2, 1), ClassResult("b", 0, 4, 0, 0))
        for (balanced in listOf(0.1 + 0.2, null)) {
            val result = EvaluateResult(1.0 / 3, 2e-17, balanced, classes)
            val text = EvaluateResultJson.write(result).toString()
            assertEquals(result, EvaluateResultJson.read(JsonFields.parse(text, "file", "remedy")))
            val predicted = result.copy(numbers = listOf(NumberResult("a\nb", 3, 0.1 + 0.2, 2e-17, 1e300)))
            val kept = EvaluateResultJson.write(predicted).toString()
            assertEquals(predicted, EvaluateResultJson.read(JsonFields.parse(kept, "file", "remedy")))
        }
    }

    private fun one(label: Int) = FloatArray(4) { if (it == label) 1f else 0f }
}
