package org.tinytl

import android.content.res.AssetManager
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.junit.runner.RunWith
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import org.tinytl.natives.NativeBridge
import java.io.File
import java.util.zip.CRC32
import java.util.zip.ZipEntry
import java.util.zip.ZipOutputStream

/** From a model among the assets of an app, and photos, to what is learnt. */
@RunWith(ModelTestRunner::class)
@Config(sdk = [34], manifest = Config.NONE)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class ModelAssetsTest {
    @get:Rule
    val folder = TemporaryFolder()

    init {
        NativeBridge.install()
    }

    @Test
    fun `a model among the assets learns from photos`() {
        val photos =
            Golden
                .json("pixels.json")
                .getJSONArray("photos")
                .objects()
                .map { it.getString("photo") }
        val examples = photos.map { Example(Photo.of(Golden.file("photos/$it")), it.substringBefore("/")) }
        val state = File(folder.root, "mine.tinytl")
        ModelAssets.open(assets("model_float32.tflite", ZipEntry.STORED), "model_float32", threads = 1).use { model ->
            val settings = TrainerSettings(epochs = 6, learningRate = 5e-3, augmentation = Augmentation(crop = false))
            val result = Trainer(model, examples, examples, settings, state).run()
            assertEquals(18, result.applied)
            assertTrue("$result", checkNotNull(result.after).loss < checkNotNull(result.before).loss)
            Golden.open().use { other ->
                other.restore(state)
                assertArrayEquals(model.state(), other.state(), 0f)
            }
        }
    }

    @Test
    fun `assets that cannot be used are refused`() {
        val compressed = assets("model_float32.tflite", ZipEntry.DEFLATED)
        refused("noCompress") { ModelAssets.open(compressed, "model_float32") }
        refused("among the assets") { ModelAssets.open(compressed, "model") }
        val other = assets("model_int8.tflite", ZipEntry.STORED, "model_float32.tflite")
        refused("sha256") { ModelAssets.open(other, "model_float32") }
    }

    private fun assets(
        model: String,
        method: Int,
        name: String = model,
    ): AssetManager {
        val file = folder.newFile()
        ZipOutputStream(file.outputStream()).use { zip ->
            put(zip, "assets/$name", Golden.file(model).readBytes(), method)
            val manifest = name.replace(".tflite", ".manifest.json")
            put(zip, "assets/$manifest", Golden.file(manifest).readBytes(), ZipEntry.DEFLATED)
        }
        val assets = AssetManager::class.java.getDeclaredConstructor().newInstance()
        val add = AssetManager::class.java.getDeclaredMethod("addAssetPath", String::class.java)
        assertTrue(add.invoke(assets, file.path) != 0)
        return assets
    }

    private fun put(
        zip: ZipOutputStream,
        name: String,
        content: ByteArray,
        method: Int,
    ) {
        val entry = ZipEntry(name)
        entry.method = method
        if (method == ZipEntry.STORED) {
            entry.size = content.size.toLong()
            entry.crc = CRC32().apply { update(content) }.value
        }
        zip.putNextEntry(entry)
        zip.write(content)
        zip.closeEntry()
    }
}
