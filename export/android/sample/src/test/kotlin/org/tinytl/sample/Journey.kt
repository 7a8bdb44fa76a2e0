package org.tinytl.sample

import android.Manifest
import android.app.Activity
import android.content.ClipData
import android.content.Intent
import android.net.Uri
import android.os.Looper
import android.provider.MediaStore
import android.view.View
import android.view.ViewGroup
import android.widget.Button
import android.widget.EditText
import android.widget.TextView
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Before
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import org.tinytl.natives.NativeBridge
import java.io.File

/** The app with a golden model, and what a user does with its screen. */
abstract class Journey {
    protected val application = RuntimeEnvironment.getApplication() as GoldenApplication
    internal val session get() = application.session
    protected lateinit var controller: ActivityController<MainActivity>
    protected val activity: MainActivity get() = controller.get()

    @Before
    fun open() {
        NativeBridge.install()
        shadowOf(application).grantPermissions(Manifest.permission.CAMERA)
        controller = Robolectric.buildActivity(MainActivity::class.java).setup()
        settle()
    }

    @After
    fun close() {
        session.model?.close()
    }

    protected fun addClassWithPhotos(
        name: String,
        label: String,
    ) {
        addClass(name)
        pick(Strings.pick(name), golden(label))
        assertEquals(Strings.photosAdded(golden(label).size, name), message())
    }

    protected fun addClass(name: String) {
        views().filterIsInstance<EditText>().single().setText(name)
        click(Strings.ADD_CLASS)
        settle()
    }

    protected fun pick(
        button: String,
        files: List<File>,
    ) {
        click(button)
        val asked = shadowOf(activity).nextStartedActivityForResult
        assertEquals(Intent.ACTION_OPEN_DOCUMENT, asked.intent.action)
        val clip = ClipData.newRawUri("", register(files.first()))
        files.drop(1).forEach { clip.addItem(ClipData.Item(register(it))) }
        val result = Intent().apply { clipData = clip }
        shadowOf(activity).receiveResult(asked.intent, Activity.RESULT_OK, result)
        settle()
    }

    protected fun take(
        button: String,
        file: File,
    ) {
        click(button)
        val asked = shadowOf(activity).nextStartedActivityForResult
        assertEquals(MediaStore.ACTION_IMAGE_CAPTURE, asked.intent.action)
        val output = checkNotNull(asked.intent.getParcelableExtra<Uri>(MediaStore.EXTRA_OUTPUT))
        shadowOf(activity.contentResolver).registerInputStreamSupplier(output) { file.inputStream() }
        shadowOf(activity).receiveResult(asked.intent, Activity.RESULT_OK, null)
        settle()
    }

    protected fun register(file: File): Uri {
        val uri = Uri.parse("content://photos/${file.name}")
        shadowOf(activity.contentResolver).registerInputStreamSupplier(uri) { file.inputStream() }
        return uri
    }

    protected fun golden(label: String): List<File> =
        File(GOLDEN, "photos/$label").listFiles().orEmpty().sortedBy { it.name }

    protected fun state(): FloatArray = checkNotNull(session.model).state()

    protected fun click(description: String) {
        val button = views().filterIsInstance<Button>().single { it.contentDescription == description }
        assertTrue("$description cannot be pressed", button.isEnabled)
        button.performClick()
    }

    /** The first text of the screen. */
    protected fun message(): String =
        views()
            .filterIsInstance<TextView>()
            .first()
            .text
            .toString()

    protected fun texts(): List<String> = views().filterIsInstance<TextView>().map { it.text.toString() }

    protected fun views(): List<View> = all(activity.findViewById(android.R.id.content))

    private fun all(view: View): List<View> =
        listOf(view) +
            if (view is ViewGroup) (0 until view.childCount).flatMap { all(view.getChildAt(it)) } else listOf()

    /** What a session that is through has to show is on its way to the main thread when its lock is free. */
    internal fun settle(of: Session = session) = settle { synchronized(of) { !of.status.isBusy } }

    protected fun settle(isDone: () -> Boolean) {
        val until = System.nanoTime() + PATIENCE
        do {
            settleLooper()
            assertTrue("it takes too long", System.nanoTime() < until)
            Thread.sleep(1)
        } while (!isDone())
        settleLooper()
    }

    private fun settleLooper() = shadowOf(Looper.getMainLooper()).idle()

    internal companion object {
        const val PATIENCE = 120_000_000_000L
        val GOLDEN = File(checkNotNull(System.getProperty("tinytl.golden")))
    }
}
