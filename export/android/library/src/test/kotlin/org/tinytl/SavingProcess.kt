package org.tinytl

import java.io.File
import kotlin.system.exitProcess

/** Trains from its state file on, saves after each step and prints the count of steps, until it is killed. */
internal object SavingProcess {
    @JvmStatic
    fun main(arguments: Array<String>) {
        val state = File(arguments[0])
        val photos = Golden.json("training_float32.json").getJSONArray("photos").objects()
        val batch = photos.take(4).map { Golden.pixels(it) }
        val labels = IntArray(4) { photos[it].getInt("label") }
        val model = Golden.open(xnnpack = false)
        if (state.exists()) {
            model.restore(state)
        }
        while (model.train(batch, labels, 1e-4f).applied) {
            model.save(state)
            println(model.state().last().toInt())
        }
        exitProcess(1)
    }
}
