package org.tinytl.sample

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import org.tinytl.ModelTestRunner
import org.tinytl.Photo
import org.tinytl.Pixels

/** What a user does with a model that has room for two classes by name. */
@RunWith(ModelTestRunner::class)
@Config(sdk = [34], manifest = Config.NONE, application = SpareClassesJourneyTest.SpareApplication::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class SpareClassesJourneyTest : Journey() {
    private val model get() = checkNotNull(session.model)
    private val exported = listOf("stripes", "disk", "cross", "leaf", "éclair")

    @Test
    fun `classes that the model does not know get its spare outputs, under the user's names`() {
        addClassWithPhotos("my leaves", "leaf")
        assertEquals(exported + "my leaves", model.labels)
        val before = chance("my leaves")
        addClassWithPhotos("disk", "disk")
        assertEquals(exported + "my leaves", model.labels)
        click(Strings.TRAIN)
        settle()
        assertTrue(message(), message().startsWith("Trained: "))
        val trained = state()

        take(Strings.CLASSIFY_TAKE, golden("leaf").first())
        val answer = message()
        assertTrue(answer, model.labels.any { answer.startsWith("$it (") })
        assertTrue("${chance("my leaves")} after $before", chance("my leaves") > before)

        val reborn = Session(application.filesDir) { application.golden() }
        reborn.open()
        settle(reborn)
        assertEquals(exported + "my leaves", checkNotNull(reborn.model).labels)
        assertArrayEquals(trained, checkNotNull(reborn.model).state(), 0f)
        reborn.model?.close()

        click(Strings.SAVE)
        settle()
        click(Strings.RESET_MODEL)
        settle()
        assertEquals(exported, model.labels)
        click(Strings.RESTORE)
        settle()
        assertEquals(exported + "my leaves", model.labels)
        assertArrayEquals(trained, state(), 0f)
    }

    @Test
    fun `a run after a reset adds the user's classes again`() {
        addClassWithPhotos("a", "leaf")
        addClassWithPhotos("b", "disk")
        click(Strings.RESET_MODEL)
        settle()
        assertEquals(exported, model.labels)
        click(Strings.TRAIN)
        settle()
        assertTrue(message(), message().startsWith("Trained: "))
        assertEquals(exported + listOf("a", "b"), model.labels)
    }

    @Test
    fun `no more classes are named than there is room for`() {
        addClass("a")
        addClass("leaf") // the model knows it
        addClass("b")
        val before = state()
        addClass("c")
        assertEquals(Strings.spareFull(2), message())
        addClass(" a ")
        assertEquals(Strings.nameTaken("a"), message())
        assertEquals(listOf("a", "leaf", "b"), session.project.classes().map { it.name })
        assertEquals(exported + listOf("a", "b"), model.labels)
        assertArrayEquals(before, state(), 0f)
    }

    @Test
    fun `a name that cannot be used is refused by the library, and no class is there`() {
        addClass("a\tb")
        assertTrue(message(), "1 to 255 bytes" in message())
        assertEquals(exported, model.labels)
        assertFalse(session.project.classes().any())
    }

    /** How likely the model takes a photo of the user for one of this class. */
    private fun chance(name: String): Float {
        val image = Photo.of(golden("leaf").first()).read(Pixels.shortSide(model.width, model.height))
        val pixels = Pixels.forInference(image, model.width, model.height, model.manifest.centralFraction)
        return model.infer(pixels).probabilities[model.labels.indexOf(name)]
    }

    /** Has room for two more classes. */
    class SpareApplication : GoldenApplication("spare")
}
