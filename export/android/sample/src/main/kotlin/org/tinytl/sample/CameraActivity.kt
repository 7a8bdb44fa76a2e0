package org.tinytl.sample

import android.Manifest
import android.app.Activity
import android.content.pm.PackageManager
import android.graphics.Bitmap
import android.os.Bundle
import android.os.Handler
import android.os.Looper
import android.view.Gravity
import android.view.TextureView
import android.view.View
import android.view.ViewGroup
import android.widget.LinearLayout
import android.widget.TextView
import org.tinytl.PhotoDecoder
import org.tinytl.Pixels
import org.tinytl.TinyTlException
import org.tinytl.TinyTlModel
import java.util.concurrent.Executors

/** Classifies camera pictures continuously while it is shown. */
class CameraActivity : Activity() {
    private val session get() = (application as SampleApplication).session
    private val main = Handler(Looper.getMainLooper())
    private val executor = Executors.newSingleThreadExecutor { Thread(it, "tinytl-camera") }
    private val nextLook = Runnable { look() }
    private var isShown = false
    private lateinit var text: TextView
    private lateinit var camera: LiveCamera

    /** The camera, which provides the pictures. */
    internal var picture: () -> Bitmap? = { camera.picture() }

    override fun onCreate(savedInstanceState: Bundle?) {
        setTheme(Themes.of(resources.configuration))
        super.onCreate(savedInstanceState)
        val preview = TextureView(this)
        preview.contentDescription = Strings.PREVIEW
        text = TextView(this)
        text.gravity = Gravity.CENTER
        text.accessibilityLiveRegion = View.ACCESSIBILITY_LIVE_REGION_POLITE
        val column = LinearLayout(this)
        column.orientation = LinearLayout.VERTICAL
        column.addView(text, LinearLayout.LayoutParams(ViewGroup.LayoutParams.MATCH_PARENT, 0, 1f))
        column.addView(preview, LinearLayout.LayoutParams(ViewGroup.LayoutParams.MATCH_PARENT, 0, PREVIEW_WEIGHT))
        setContentView(column)
        camera = LiveCamera(this, preview) { text.text = it }
        session.open()
        if (!isAllowed()) {
            requestPermissions(arrayOf(Manifest.permission.CAMERA), 1)
        }
    }

    override fun onResume() {
        super.onResume()
        isShown = true
        if (isAllowed()) {
            start()
        }
    }

    override fun onPause() {
        isShown = false
        main.removeCallbacks(nextLook)
        camera.close()
        super.onPause()
    }

    override fun onDestroy() {
        executor.shutdown()
        super.onDestroy()
    }

    /** After the permission is granted, the screen returns to the foreground, and [onResume] starts the camera. */
    override fun onRequestPermissionsResult(
        requestCode: Int,
        permissions: Array<String>,
        grantResults: IntArray,
    ) {
        if (!isAllowed()) {
            text.text = Strings.CAMERA_REFUSED
        }
    }

    private fun isAllowed() = checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED

    private fun start() {
        camera.open()
        main.postDelayed(nextLook, EVERY_MILLIS)
    }

    /** Classifies one picture; the next one follows after its prediction. */
    private fun look() {
        val model = session.model
        val bitmap = if (model == null) null else picture()
        if (model == null || bitmap == null) {
            main.postDelayed(nextLook, EVERY_MILLIS)
            return
        }
        val orientation = camera.orientation
        executor.execute {
            val answer = answer(model, bitmap, orientation)
            main.post {
                if (isShown) {
                    text.text = answer
                    main.postDelayed(nextLook, EVERY_MILLIS)
                }
            }
        }
    }

    private fun answer(
        model: TinyTlModel,
        bitmap: Bitmap,
        orientation: Int,
    ): String =
        try {
            session.answer(model, Pixels.upright(PhotoDecoder.toRgb(bitmap), orientation))
        } catch (error: TinyTlException) {
            error.message.orEmpty()
        }

    internal companion object {
        const val EVERY_MILLIS = 300L
        private const val PREVIEW_WEIGHT = 5f
    }
}
