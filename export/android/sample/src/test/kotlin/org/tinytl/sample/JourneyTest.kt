package org.tinytl.sample

import android.app.Activity
import android.app.job.JobParameters
import android.app.job.JobScheduler
import android.content.Intent
import android.net.Uri
import android.os.ParcelFileDescriptor
import android.provider.OpenableColumns
import android.widget.Button
import android.widget.ProgressBar
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertNotSame
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import org.robolectric.shadow.api.Shadow
import org.tinytl.ClassResult
import org.tinytl.EpochResult
import org.tinytl.EvaluateResult
import org.tinytl.ModelTestRunner
import org.tinytl.TrainerResult
import java.io.File
import java.io.FileNotFoundException

/** What a user does with the app, on the golden model and photos. */
@RunWith(ModelTestRunner::class)
@Config(sdk = [34], manifest = Config.NONE, application = GoldenApplication::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class JourneyTest : Journey() {
    @Test
    fun `from two classes to an answer, over a rotation and the end of the process`() {
        assertEquals(Strings.READY, message())
        assertTrue(texts().any { it.startsWith("Training needs about") })
        addClassWithPhotos("my leaves", "leaf")
        addClassWithPhotos("my disks", "disk")

        val exported = state()
        click(Strings.TRAIN)
        settle()
        assertTrue(message(), message().startsWith("Trained: "))
        val bar = views().filterIsInstance<ProgressBar>().single()
        assertTrue(bar.max > 0)
        assertEquals(bar.max, bar.progress)
        assertTrue(texts().any { it.startsWith("Step ${bar.max} of ${bar.max}, accuracy ") })
        val trained = state()
        assertFalse(exported.contentEquals(trained))
        val figures = texts().single { it.startsWith("my leaves: ") && "correct" in it }.lines()
        val others = "[0-9]+ other photos mistaken for it"
        assertTrue("$figures", Regex("my leaves: [0-2] of 2 correct, $others") matches figures[0])
        assertTrue("$figures", Regex("my disks: [01] of 1 correct, $others") matches figures[1])

        take(Strings.CLASSIFY_TAKE, golden("leaf").first())
        val answer = message()
        assertTrue(answer, answer.startsWith("my leaves (") || answer.startsWith("my disks ("))

        val before = activity
        controller.recreate()
        assertNotSame(before, activity)
        assertEquals(answer, message())
        assertTrue("${figures.joinToString("\n")}" in texts())
        assertArrayEquals(trained, state(), 0f)

        val reborn = Session(application.filesDir) { application.golden() }
        assertEquals(session.project.classes(), reborn.project.classes())
        reborn.open()
        settle(reborn)
        assertArrayEquals(trained, checkNotNull(reborn.model).state(), 0f)
        reborn.model?.close()

        click(Strings.SAVE)
        settle()
        click(Strings.RESET_MODEL)
        settle()
        assertArrayEquals(exported, state(), 0f)
        click(Strings.RESTORE)
        settle()
        assertEquals(Strings.RESTORED, message())
        assertArrayEquals(trained, state(), 0f)
    }

    @Test
    fun `a rotation while another app picks photos keeps their class`() {
        addClass("one")
        addClass("two")
        click(Strings.pick("two"))
        val asked = shadowOf(activity).nextStartedActivityForResult
        controller.recreate()
        val photo = register(golden("leaf").first())
        activity.onActivityResult(asked.requestCode, Activity.RESULT_OK, Intent().setData(photo))
        settle()
        assertEquals(listOf(0, 1), session.project.classes().map { it.photos.size })
    }

    @Test
    fun `a run that is stopped goes on, unless the model is reset`() {
        addClassWithPhotos("a", "leaf")
        addClassWithPhotos("b", "disk")
        trainAndStop()
        assertTrue(
            application.filesDir
                .list()
                .orEmpty()
                .contains("mine.tinytl.progress.json"),
        )
        click(Strings.TRAIN)
        settle()
        assertTrue(message(), message().startsWith("Trained: "))
        trainAndStop()
        click(Strings.RESET_MODEL)
        settle()
        assertFalse(
            application.filesDir
                .list()
                .orEmpty()
                .contains("mine.tinytl.progress.json"),
        )
    }

    private fun trainAndStop() {
        click(Strings.TRAIN)
        settle { session.status.step > 0 }
        click(Strings.STOP)
        settle()
        assertEquals(Strings.STOPPED, message())
    }

    @Test
    fun `the phone trains when it charges`() {
        addClassWithPhotos("a", "leaf")
        addClassWithPhotos("b", "disk")
        click(Strings.TRAIN_LATER)
        assertEquals(Strings.SCHEDULED, message())
        val info = application.getSystemService(JobScheduler::class.java).allPendingJobs.single()
        assertTrue(info.isRequireCharging && info.isPersisted)
        assertEquals(SampleTrainingJob::class.java.name, info.service.className)
        val job = Robolectric.buildService(SampleTrainingJob::class.java).create().get()
        val exported = state()
        assertTrue(job.onStartJob(Shadow.newInstanceOf(JobParameters::class.java)))
        settle { message().startsWith("Trained: ") }
        assertFalse(exported.contentEquals(state()))
        assertTrue(File(application.filesDir, "mine.tinytl").exists())
    }

    @Test
    fun `what was learned is shared, and nothing else`() {
        click(Strings.SHARE)
        settle()
        val chooser = shadowOf(activity).nextStartedActivity
        val intent = chooser.getParcelableExtra<Intent>(Intent.EXTRA_INTENT)
        assertEquals(Intent.ACTION_SEND, intent?.action)
        assertNotEquals(0, intent?.flags?.and(Intent.FLAG_GRANT_READ_URI_PERMISSION))
        val uri = checkNotNull(intent?.getParcelableExtra<Uri>(Intent.EXTRA_STREAM))
        val provider = Robolectric.setupContentProvider(SharedFiles::class.java)
        val file = File(application.filesDir, "expected").also { session.model?.save(it) }
        val content =
            ParcelFileDescriptor.AutoCloseInputStream(provider.openFile(uri, "r")).use { it.readBytes() }
        assertArrayEquals(file.readBytes(), content)
        provider.query(uri, null, null, null, null).use { cursor ->
            assertTrue(cursor.moveToFirst())
            assertEquals("mine.tinytl", cursor.getString(cursor.getColumnIndexOrThrow(OpenableColumns.DISPLAY_NAME)))
            assertEquals(content.size, cursor.getInt(cursor.getColumnIndexOrThrow(OpenableColumns.SIZE)))
        }
        for (path in listOf("project.json", "../project.json", "..%2Fproject.json", "photos/a.jpg", "")) {
            val other = Uri.parse("content://org.tinytl.sample.files/$path")
            assertThrows(path, FileNotFoundException::class.java) { provider.openFile(other, "r") }
        }
    }

    @Test
    fun `what cannot be used is said, and nothing changes`() {
        addClass("")
        assertEquals(Strings.NAME_EMPTY, message())
        addClass("a")
        addClass("a")
        assertEquals(Strings.nameTaken("a"), message())
        click(Strings.TRAIN)
        settle()
        assertEquals(Strings.NO_PHOTOS, message())
        for (bad in listOf("\u200b", "b\u2028c", "x".repeat(256))) {
            addClass(bad)
            assertTrue(message(), "1 to 255 bytes" in message())
        }
        pick(Strings.pick("a"), listOf(File(application.filesDir, "none").apply { writeText("no photo") }))
        assertTrue(message(), "leave it out" in message())
        assertEquals(listOf(PhotoClass("a", emptyList())), session.project.classes())
        assertEquals(0, File(application.filesDir, "photos").list().orEmpty().size)
        listOf("b", "c", "d", "e", "f").forEach(::addClass)
        assertEquals(Strings.classesFull(5), message())
        assertEquals(5, session.project.classes().size)
    }

    @Test
    fun `a photo that cannot be decoded is named, and the others are added`() {
        addClass("a")
        val (first, last) = golden("leaf")
        val bad = File(application.filesDir, "bad.jpg").apply { writeText("no photo") }
        pick(Strings.pick("a"), listOf(first, bad, last))
        val lines = message().lines()
        assertEquals(2, lines.size)
        assertEquals("Added 2 to a.", lines[0])
        assertTrue(lines[1], lines[1].startsWith("Left out bad.jpg: "))
        assertEquals(
            2,
            session.project
                .classes()[0]
                .photos.size,
        )
        assertEquals(2, File(application.filesDir, "photos").list().orEmpty().size)
    }

    @Test
    fun `a class whose photos are all held out is named, and nothing is trained`() {
        addClass("a")
        pick(Strings.pick("a"), golden("leaf").filter { "cmyk" !in it.name })
        addClassWithPhotos("b", "disk")
        val before = state()
        click(Strings.TRAIN)
        settle()
        // The classes of the user stand for the first outputs of the model.
        assertTrue(message(), "\"stripes\", got none: all 2 are held out" in message())
        assertArrayEquals(before, state(), 0f)
    }

    @Test
    fun `without held-out photos there are no figures, and it is said`() {
        addClass("a")
        pick(Strings.pick("a"), golden("leaf").filter { "cmyk" in it.name })
        addClass("b")
        pick(Strings.pick("b"), golden("disk").filter { "transparent" !in it.name })
        click(Strings.TRAIN)
        settle()
        assertTrue(message(), message().startsWith("Trained. No photos are held out"))
        assertTrue("${texts()}", texts().any { it.startsWith("nothing is held out") })
        assertFalse(texts().any { "correct" in it })
    }

    @Test
    fun `classes and photos of a damaged file are told, and the app opens`() {
        addClassWithPhotos("a", "leaf")
        File(application.filesDir, "photos")
            .listFiles()
            .orEmpty()
            .first()
            .delete()
        val reborn = Session(application.filesDir) { application.golden() }
        assertEquals(
            golden("leaf").size - 1,
            reborn.project
                .classes()
                .single()
                .photos.size,
        )
        for (content in listOf("", "[", "{}", "[1]", "[{\"name\":\"a\"}]")) {
            File(application.filesDir, "project.json").writeText(content)
            val damaged = Session(application.filesDir) { application.golden() }
            damaged.open()
            settle(damaged)
            assertEquals(Strings.PROJECT_DAMAGED, damaged.status.message)
            assertEquals(emptyList<PhotoClass>(), damaged.project.classes())
            assertEquals(content, File(application.filesDir, "project.json.damaged").readText())
            damaged.model?.close()
        }
    }

    @Test
    fun `a model of arrays is refused when it is opened`() {
        for (name in listOf("array", "regression")) {
            val other = Session(application.filesDir) { GoldenApplication(name).golden() }
            other.open()
            settle(other)
            assertEquals(Strings.OTHER_MODEL, other.status.message)
            assertEquals(null, other.model)
        }
    }

    @Test
    fun `the screen tells balanced accuracy and refused steps where they matter`() {
        fun result(
            balanced: Double?,
            applied: Int,
        ): TrainerResult {
            val figures = EvaluateResult(0.9, 1.0, balanced, emptyList())
            return TrainerResult(figures, figures, listOf(EpochResult(1.0, 1.0, 30, applied)), 1.0)
        }
        val plain = "Trained: accuracy on held-out photos 90 %, before the training 90 %."
        assertEquals(plain, Strings.trained(result(0.86, 30)))
        assertEquals("$plain Mean over the classes: 84 %.", Strings.trained(result(0.84, 30)))
        assertEquals("$plain 29 of 30 steps applied.", Strings.trained(result(null, 29)))
        val some = Strings.figures("a", ClassResult("x", 2, 9, 1, 3))
        assertEquals("a: 1 of 2 correct, 3 other photos mistaken for it", some)
        val none = Strings.figures("a", ClassResult("x", 0, 9, 0, 3))
        assertEquals("a: no photos held out, 3 other photos mistaken for it", none)
        assertEquals("Step 1 of 2", Strings.live(1, 2, Double.NaN))
    }

    @Test
    fun `each button says what it does`() {
        addClass("a")
        val buttons = views().filterIsInstance<Button>()
        assertTrue(buttons.size > 10)
        val said = buttons.map { it.contentDescription.toString() }
        assertEquals(said.distinct(), said)
    }
}
