package org.tinytl.sample

import android.Manifest
import android.content.Context
import android.content.pm.PackageManager
import android.graphics.BitmapFactory
import android.graphics.SurfaceTexture
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraManager
import android.os.Looper
import android.provider.MediaStore
import android.text.Editable
import android.text.TextWatcher
import android.util.Size
import android.view.TextureView
import android.view.View
import android.view.ViewGroup
import android.widget.TextView
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import org.robolectric.shadow.api.Shadow
import org.robolectric.shadows.ShadowCameraCharacteristics
import org.tinytl.ModelTestRunner
import org.tinytl.PhotoDecoder
import java.util.concurrent.TimeUnit

/** The live camera: a camera of Robolectric's, whose pictures are golden photos. */
@RunWith(ModelTestRunner::class)
@Config(sdk = [34], manifest = Config.NONE, application = GoldenApplication::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class CameraTest : Journey() {
    private val manager = application.getSystemService(Context.CAMERA_SERVICE) as CameraManager
    private var live: ActivityController<CameraActivity>? = null

    @After
    fun leave() {
        live?.pause()?.stop()?.destroy()
    }

    @Test
    fun `the button opens the live camera`() {
        click(Strings.CLASSIFY_LIVE)
        val started = shadowOf(activity).nextStartedActivity
        assertEquals(CameraActivity::class.java.name, started.component?.className)
    }

    @Test
    fun `each picture is answered, one after the other`() {
        addCamera()
        addClass("one")
        addClass("two")
        val live = opened()
        val shown = ArrayList<String>() // the first answer may be gone before it is looked for
        text(live).addTextChangedListener(
            object : TextWatcher {
                override fun afterTextChanged(text: Editable) {
                    shown += text.toString()
                }

                override fun beforeTextChanged(
                    text: CharSequence,
                    start: Int,
                    count: Int,
                    after: Int,
                ) = Unit

                override fun onTextChanged(
                    text: CharSequence,
                    start: Int,
                    before: Int,
                    count: Int,
                ) = Unit
            },
        )
        var asked = 0
        live.get().picture = {
            asked++
            BitmapFactory.decodeFile(golden(if (asked == 1) "leaf" else "disk").first().path)
        }
        val expected =
            listOf("leaf", "disk").map { label ->
                val bitmap = BitmapFactory.decodeFile(golden(label).first().path)
                session.answer(checkNotNull(session.model), PhotoDecoder.toRgb(bitmap))
            }
        assertTrue("$expected", expected.first() != expected.last())
        settle {
            tick()
            answer(live) == expected.last()
        }
        assertEquals(expected, shown.filter { it in expected }.distinct())
        assertTrue(answer(live).startsWith("one (") || answer(live).startsWith("two ("))
        live.pause()
        val before = asked
        repeat(3) { tick() }
        assertEquals(before, asked)
    }

    @Test
    fun `the camera is on while the screen is shown`() {
        addCamera()
        val live = opened()
        val problems = ArrayList<String>()
        val camera = LiveCamera(live.get(), preview(live)) { problems += it }
        assertNull(camera.picture())
        camera.open()
        show(live)
        settle { camera.isOn }
        assertEquals(1, camera.orientation)
        camera.close()
        assertFalse(camera.isOn)
        camera.open()
        show(live)
        camera.close() // before the camera has answered
        settle { true }
        assertFalse(camera.isOn)
        assertEquals(emptyList<String>(), problems)
    }

    @Test
    fun `a camera that another app takes is told`() {
        addCamera()
        val live = opened()
        show(live)
        settle { true }
        shadowOf(manager).removeCamera("0")
        val problems = ArrayList<String>()
        val camera = LiveCamera(live.get(), preview(live)) { problems += it }
        camera.open()
        show(live)
        settle { problems.isNotEmpty() }
        assertEquals(listOf(Strings.CAMERA_MISSING), problems)
    }

    @Test
    fun `a device without a camera is told so`() {
        val live = opened()
        show(live)
        settle { answer(live) == Strings.CAMERA_MISSING }
    }

    @Test
    fun `a permission that is refused is told so`() {
        shadowOf(application).denyPermissions(Manifest.permission.CAMERA)
        addCamera()
        val live = opened()
        val asked = shadowOf(live.get()).lastRequestedPermission
        assertEquals(listOf(Manifest.permission.CAMERA), asked.requestedPermissions.toList())
        live.get().onRequestPermissionsResult(
            asked.requestCode,
            asked.requestedPermissions,
            intArrayOf(PackageManager.PERMISSION_DENIED),
        )
        assertEquals(Strings.CAMERA_REFUSED, answer(live))
    }

    @Test
    fun `a photo is taken after the permission is given, and not when it is refused`() {
        shadowOf(application).denyPermissions(Manifest.permission.CAMERA)
        addClass("a")
        click(Strings.take("a"))
        assertNotEquals(MediaStore.ACTION_IMAGE_CAPTURE, nextAction())
        val asked = shadowOf(activity).lastRequestedPermission
        assertEquals(listOf(Manifest.permission.CAMERA), asked.requestedPermissions.toList())
        val answer = { result: Int ->
            activity.onRequestPermissionsResult(asked.requestCode, asked.requestedPermissions, intArrayOf(result))
            nextAction()
        }
        assertNull(answer(PackageManager.PERMISSION_DENIED))
        assertEquals(Strings.CAMERA_REFUSED, message())
        assertEquals(MediaStore.ACTION_IMAGE_CAPTURE, answer(PackageManager.PERMISSION_GRANTED))
    }

    @Test
    fun `a size is chosen that is large enough and no larger`() {
        val sizes = listOf(Size(1920, 1080), Size(320, 240), Size(640, 480), Size(800, 600))
        assertEquals(Size(640, 480), LiveCamera.chosen(sizes))
        assertEquals(Size(320, 240), LiveCamera.chosen(listOf(Size(160, 120), Size(320, 240))))
        assertEquals(Size(480, 480), LiveCamera.chosen(emptyList()))
    }

    private fun nextAction(): String? = shadowOf(activity).nextStartedActivityForResult?.intent?.action

    private fun addCamera() {
        val characteristics = ShadowCameraCharacteristics.newCameraCharacteristics()
        val shadow = Shadow.extract<ShadowCameraCharacteristics>(characteristics)
        shadow.set(CameraCharacteristics.LENS_FACING, CameraCharacteristics.LENS_FACING_BACK)
        shadow.set(CameraCharacteristics.SENSOR_ORIENTATION, 90)
        shadowOf(manager).addCamera("0", characteristics)
    }

    private fun opened(): ActivityController<CameraActivity> =
        Robolectric.buildActivity(CameraActivity::class.java).setup().also {
            live = it
            settle()
        }

    /** Robolectric draws no texture: the view says that it has one. */
    private fun show(live: ActivityController<CameraActivity>) {
        preview(live).surfaceTextureListener?.onSurfaceTextureAvailable(SurfaceTexture(0), 100, 100)
    }

    private fun preview(live: ActivityController<CameraActivity>): TextureView =
        children(live).filterIsInstance<TextureView>().single()

    private fun answer(live: ActivityController<CameraActivity>): String = text(live).text.toString()

    private fun text(live: ActivityController<CameraActivity>): TextView =
        children(live).filterIsInstance<TextView>().single()

    private fun children(live: ActivityController<CameraActivity>): List<View> {
        val content = live.get().findViewById(android.R.id.content) as ViewGroup
        val column = content.getChildAt(0) as ViewGroup
        return List(column.childCount) { column.getChildAt(it) }
    }

    private fun tick() = shadowOf(Looper.getMainLooper()).idleFor(CameraActivity.EVERY_MILLIS, TimeUnit.MILLISECONDS)
}
