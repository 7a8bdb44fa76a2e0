package org.tinytl

import org.json.JSONArray
import org.json.JSONObject
import org.tinytl.natives.NativeBridge
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** The golden files that every client is tested against, and models that are opened from them. */
internal object Golden {
    private val folder = File(checkNotNull(System.getProperty("tinytl.golden")))

    fun file(name: String): File = File(folder, name)

    fun json(name: String): JSONObject = JSONObject(file(name).readText())

    fun open(
        kernels: String = "float32",
        xnnpack: Boolean? = null,
        threads: Int = 1,
    ): TinyTlModel {
        NativeBridge.install()
        val manifest = file("model_$kernels.manifest.json")
        return TinyTlModel.open(file("model_$kernels.tflite"), manifest, threads, xnnpack)
    }

    /** Each of the golden arrays. */
    fun arrays(): List<FloatArray> {
        val bytes = ByteBuffer.wrap(file("arrays.raw").readBytes()).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
        val (count, rows, columns) = json("array.json").getJSONObject("arrays").getJSONArray("shape").ints()
        return List(count) { FloatArray(rows * columns).also { numbers -> bytes.get(numbers) } }
    }

    fun pixels(photo: JSONObject): ByteArray = file(photo.getString("pixels")).readBytes()
}

internal fun JSONArray.objects(): List<JSONObject> = List(length()) { getJSONObject(it) }

internal fun JSONArray.ints(): List<Int> = List(length()) { getInt(it) }

internal fun JSONArray.floats(): FloatArray = FloatArray(length()) { getDouble(it).toFloat() }
