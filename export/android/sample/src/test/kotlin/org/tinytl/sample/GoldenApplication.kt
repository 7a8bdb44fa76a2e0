package org.tinytl.sample

import org.tinytl.TinyTlModel
import java.io.File

/** Has a golden model in place of the assets. */
open class GoldenApplication(
    private val name: String = "float32",
) : SampleApplication() {
    override fun openModel(): TinyTlModel = golden()

    fun golden(): TinyTlModel {
        val folder = File(checkNotNull(System.getProperty("tinytl.golden")))
        val manifest = File(folder, "model_$name.manifest.json")
        return TinyTlModel.open(File(folder, "model_$name.tflite"), manifest, threads = 1)
    }
}
