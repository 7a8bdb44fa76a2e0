package org.tinytl

import org.json.JSONObject
import org.tinytl.natives.NativeBridge
import java.io.File
import java.io.IOException
import java.util.Random

/**
 * Trains a model in this process, which has to be a fresh one, and prints its growth and times as JSON.
 *
 * Arguments: the `.tflite`, whether to use XNNPACK, the number of steps after the first one. Linux only. It measures
 * what `tinytl memory --account=measured` does, with the library in place of the Python client; see
 * `benchmarks/android_training.py`.
 */
internal object MeasuredTraining {
    private val status = File("/proc/self/status")

    @JvmStatic
    fun main(arguments: Array<String>) {
        val (path, xnnpack, steps) = arguments
        val file = File(path)
        val manifest = File(file.absoluteFile.parentFile, "${file.nameWithoutExtension}.manifest.json")
        NativeBridge.install()
        val before = resetPeak()
        val times = ArrayList<Double>()
        var last = System.nanoTime()
        TinyTlModel.open(file, manifest, threads = 1, xnnpack = xnnpack.toBooleanStrict()).use { model ->
            val random = Random(0)
            val batch = List(model.batchSize) { ByteArray(3 * model.height * model.width).also(random::nextBytes) }
            val labels = IntArray(model.batchSize) { it % 2 }
            repeat(1 + steps.toInt()) {
                check(model.train(batch, labels, 1e-3f).applied)
                val now = System.nanoTime()
                times += (now - last) / 1e6
                last = now
            }
        }
        val rest = times.drop(1).sorted()
        val result = JSONObject()
        result.put("growth_bytes", bytes("VmHWM") - before)
        result.put("first_step_ms", times.first())
        result.put("step_ms_median", (rest[(rest.size - 1) / 2] + rest[rest.size / 2]) / 2)
        println(result)
    }

    /** Lets the peak count from now on where the kernel allows it; returns the memory that counts as the start. */
    private fun resetPeak(): Long =
        try {
            File("/proc/self/clear_refs").writeText("5")
            bytes("VmRSS")
        } catch (_: IOException) {
            bytes("VmHWM")
        }

    private fun bytes(key: String): Long =
        1024 *
            status
                .readLines()
                .first { it.startsWith("$key:") }
                .filter { it.isDigit() }
                .toLong()
}
