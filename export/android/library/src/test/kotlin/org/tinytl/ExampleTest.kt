package org.tinytl

import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import java.security.MessageDigest

/** Which photos are held out. */
class ExampleTest {
    private val manifest = ScriptedRuntime.manifest { it.getJSONObject("data").put("split", "content") }
    private val examples = List(250) { Example(Flat(it), if (it % 2 == 0) "disk" else "leaf") }

    @Test
    fun `about a quarter is held out, by the content alone`() {
        val (training, heldOut, warnings) = Example.holdOut(examples, manifest)
        assertTrue("${heldOut.size}", heldOut.size in 45..80)
        assertEquals(examples.toSet(), training.toSet() + heldOut)
        assertEquals(emptyList<String>(), warnings)
        // Not by number, order, class or name.
        val others =
            examples.drop(3).reversed().map {
                Example(
                    Flat(
                        it.image
                            .read(1)
                            .pixels[0]
                            .toInt(),
                        "x",
                    ),
                    "cross",
                )
            }
        val again =
            Example
                .holdOut(others, manifest)
                .heldOut
                .map { it.image.digest().toList() }
                .toSet()
        assertEquals(heldOut.filter { it in examples.drop(3) }.map { it.image.digest().toList() }.toSet(), again)
    }

    @Test
    fun `the rule is that of other clients`() {
        val golden = Golden.json("plan.json").getJSONArray("held_out").objects()
        assertTrue("${golden.size}", golden.size > 50)
        for (each in golden) {
            val id = each.getString("id")
            val digest = ByteArray(32) { id.substring(2 * it, 2 * it + 2).toInt(16).toByte() }
            val isHeldOut = Example.isHeldOut(digest, each.getLong("seed"))
            assertEquals("$each", each.getBoolean("held_out"), isHeldOut)
        }
    }

    @Test
    fun `other seeds hold out others, and the manifest's is the default`() {
        val seeded = ScriptedRuntime.manifest { it.getJSONObject("data").put("split_seed", 7) }
        val byManifest = Example.holdOut(examples, seeded).heldOut
        assertEquals(byManifest, Example.holdOut(examples, manifest, 7).heldOut)
        assertFalse(byManifest == Example.holdOut(examples, manifest).heldOut)
        refused("split seed of 0 or more", "got -1") { Example.holdOut(examples, manifest, -1) }
    }

    @Test
    fun `copies of a photo stay together`() {
        val copies =
            examples
                .take(
                    60,
                ).flatMap {
                    listOf(
                        it,
                        Example(
                            Flat(
                                it.image
                                    .read(1)
                                    .pixels[0]
                                    .toInt(),
                            ),
                            it.labels,
                        ),
                    )
                }
        val (training, heldOut) = Example.holdOut(copies, manifest)
        val shared = training.map { it.image.name }.toSet() intersect heldOut.map { it.image.name }.toSet()
        assertEquals(emptySet<String>(), shared)
    }

    @Test
    fun `a class without held-out photos is named, and one without others refused`() {
        val (training, heldOut) = Example.holdOut(examples, manifest)
        val none = training.take(3).map { Example(it.image, "star") }
        val split = Example.holdOut(examples + none, manifest)
        assertEquals(1, split.warnings.size)
        assertTrue("${split.warnings}", "held out of 1 classes (\"star\")" in split.warnings.single())
        val all = heldOut.take(2).map { Example(it.image, "star") }
        refused("to train on of \"star\", got none: all 2 are held out", "add photos, or give another split seed") {
            Example.holdOut(examples + all, manifest)
        }
        refused("all 2 are held out") { Example.holdOut(heldOut.take(2), manifest) }
        refused("got none; take some") { Example.holdOut(emptyList(), manifest) }
    }

    @Test
    fun `with nothing held out there is a warning`() {
        val training = Example.holdOut(examples, manifest).training.take(3)
        val split = Example.holdOut(training, manifest)
        assertEquals(emptyList<Example>(), split.heldOut)
        assertTrue("${split.warnings}", split.warnings.single().startsWith("nothing is held out"))
    }

    @Test
    fun `photos of several attributes are split likewise`() {
        val multilabel = multilabel()
        val (training, heldOut) = Example.holdOut(examples, manifest)
        val sets = listOf(setOf("disk", "leaf"), emptySet(), setOf("disk"))
        val several = examples.mapIndexed { index, example -> Example(example.image, sets[index % 3]) }
        val split = Example.holdOut(several, multilabel)
        assertEquals(heldOut.map { it.image }, split.heldOut.map { it.image })
        val rare = listOf(Example(heldOut.first().image, setOf("star")), Example(training.first().image, setOf("moon")))
        val warnings = Example.holdOut(several + rare, multilabel).warnings
        assertEquals(2, warnings.size)
        assertTrue(
            "$warnings",
            "\"moon\"" in warnings[0] && "\"star\"" in warnings[1] && "left for training" in warnings[1],
        )
    }

    @Test
    fun `a model of an older version is named`() {
        val old = ScriptedRuntime.manifest { it.getJSONObject("data").remove("split") }
        val warning = Example.holdOut(examples, old).warnings.single()
        assertTrue(warning, "may have been trained on" in warning && '\n' !in warning)
    }

    @Test
    fun `without a file the pixels count, at their own size`() {
        val large = RgbImage(4, 2, ByteArray(24) { it.toByte() })
        val source =
            object : ImageSource {
                override val name = "large"

                override fun read(shortSide: Int) = Pixels.shrink(large, shortSide)
            }
        assertEquals(MessageDigest.getInstance("SHA-256").digest(large.pixels).toList(), source.digest().toList())
    }

    private fun multilabel() =
        ScriptedRuntime.manifest { values: JSONObject ->
            values.put("task", "multilabel").getJSONObject("data").put("split", "content")
        }
}
