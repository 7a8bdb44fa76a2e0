package org.tinytl

import android.content.res.AssetManager
import java.io.FileInputStream
import java.io.IOException
import java.nio.channels.FileChannel

/** Opens models in the app's assets, which are mapped and never copied. */
public object ModelAssets {
    /**
     * Opens a model.
     *
     * `noCompress "tflite"` must be in the app's build file: a compressed asset cannot be mapped.
     *
     * @param assets assets of the app
     * @param name name of the model: `NAME.tflite` and `NAME.manifest.json` are read
     * @param threads number of threads of the kernels
     * @param xnnpack whether to use XNNPACK, which is faster and needs more memory; null for the manifest's setting
     * @throws InputException if an asset is missing or compressed, or [TinyTlModel.open] refuses the model
     */
    @JvmStatic
    @JvmOverloads
    public fun open(
        assets: AssetManager,
        name: String,
        threads: Int = TinyTlModel.THREADS,
        xnnpack: Boolean? = null,
    ): TinyTlModel {
        try {
            val text = assets.open("$name.manifest.json").use { it.readBytes() }.toString(Charsets.UTF_8)
            val manifest = Manifest.parse(text, "$name.manifest.json")
            val model =
                assets.openFd("$name.tflite").use { asset ->
                    val channel = FileInputStream(asset.fileDescriptor).channel // closed by the asset
                    channel.map(FileChannel.MapMode.READ_ONLY, asset.startOffset, asset.declaredLength)
                }
            return TinyTlModel.open(model, manifest, threads, xnnpack)
        } catch (error: IOException) {
            throw InputException(
                "expected $name.tflite, uncompressed, and $name.manifest.json among the assets, got: " +
                    "${error.message}; copy both files there and add noCompress \"tflite\" to the build file",
                error,
            )
        }
    }
}
