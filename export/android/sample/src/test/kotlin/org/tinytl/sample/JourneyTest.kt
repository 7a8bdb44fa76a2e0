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
import org.tinytl.ModelTestRunner
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
        assertTrue(texts().any { it.startsWith("Step ${bar.max} of ${bar.max}, ") && it.endsWith("right") })
        val trained = state()
        assertFalse(exported.contentEquals(trained))

        take(Strings.CLASSIFY_TAKE, golden("leaf").first())
        val answer = message()
        assertTrue(answer, answer.startsWith("my leaves (") || answer.startsWith("my disks ("))

        val before = activity
        controller.recreate()
        assertNotSame(before, activity)
        assertEquals(answer, message())
        assertTrue(texts().any { it.startsWith("my leaves: ") })
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
        pick(Strings.pick("a"), listOf(File(application.filesDir, "none").apply { writeText("no photo") }))
        assertTrue(message(), "leave it out" in message())
        assertEquals(listOf(PhotoClass("a", emptyList())), session.project.classes())
        assertEquals(0, File(application.filesDir, "photos").list().orEmpty().size)
        listOf("b", "c", "d", "e", "f").forEach(::addClass)
        assertEquals(Strings.classesFull(5), message())
        assertEquals(5, session.project.classes().size)
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
