package org.tinytl

import android.content.res.AssetManager
import java.io.FileInputStream
import java.io.IOException
import java.nio.channels.FileChannel

/** Opens models that are among the app's assets, which are mapped and never copied. */
public object ModelAssets {
    /**
     * Opens a model.
     *
     * `noCompress "tflite"` must be in the app's build file: a compressed asset cannot be mapped.
     *
     * @param assets of the app
     * @param name of the model: `NAME.tflite` and `NAME.manifest.json` are read
     * @param threads threads of the kernels
     * @param xnnpack whether to use XNNPACK: faster, and more memory; null for the manifest's setting
     * @throws InputException if an asset is missing or compressed, or [TinyTlModel.open] refuses
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
                    val channel = FileInputStream(asset.fileDescriptor).channel // the asset closes it
                    channel.map(FileChannel.MapMode.READ_ONLY, asset.startOffset, asset.declaredLength)
                }
            return TinyTlModel.open(model, manifest, threads, xnnpack)
        } catch (error: IOException) {
            throw InputException(
                "expected $name.tflite, not compressed, and $name.manifest.json among the assets, got: " +
                    "${error.message}; copy both there and put noCompress \"tflite\" into the build file",
                error,
            )
        }
    }
}
