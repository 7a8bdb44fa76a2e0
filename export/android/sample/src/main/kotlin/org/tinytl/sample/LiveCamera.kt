package org.tinytl.sample

import android.app.Activity
import android.content.Context
import android.graphics.Bitmap
import android.graphics.SurfaceTexture
import android.hardware.camera2.CameraAccessException
import android.hardware.camera2.CameraCaptureSession
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraDevice
import android.hardware.camera2.CameraManager
import android.hardware.camera2.CaptureRequest
import android.os.Handler
import android.os.Looper
import android.util.Size
import android.view.Surface
import android.view.TextureView

/**
 * Shows the picture of the back camera, or of the first camera of a device without a back camera.
 *
 * Everything runs on the main thread.
 *
 * @param activity the activity, which has the camera permission
 * @param view the view that shows the picture
 * @param onProblem receives a message if the camera sends no picture
 */
internal class LiveCamera(
    private val activity: Activity,
    private val view: TextureView,
    private val onProblem: (String) -> Unit,
) {
    private val manager = activity.getSystemService(Context.CAMERA_SERVICE) as CameraManager
    private val main = Handler(Looper.getMainLooper())
    private var texture: SurfaceTexture? = null
    private var device: CameraDevice? = null
    private var isWanted = false
    private var size = Size(SIDE, SIDE)
    private var isTurned = false

    /** EXIF orientation of [picture]: the view returns it in the natural orientation of the device. */
    val orientation: Int
        get() = ORIENTATIONS[activity.windowManager.defaultDisplay.rotation]

    /** Starts as soon as the view is ready. */
    fun open() {
        isWanted = true
        view.surfaceTextureListener = Listener()
        view.surfaceTexture?.let(::start)
    }

    /** Whether the camera is on. */
    val isOn: Boolean
        get() = device != null

    /** Stops and releases the camera for other apps. */
    fun close() {
        isWanted = false
        view.surfaceTextureListener = null
        device?.close()
        device = null
    }

    /** Returns the current picture, or null before the first picture. */
    fun picture(): Bitmap? {
        val upright = if (isTurned) Size(size.height, size.width) else size
        return if (isOn) view.getBitmap(upright.width, upright.height) else null
    }

    private fun start(shown: SurfaceTexture) =
        trying {
            texture = shown
            val ids = manager.cameraIdList
            val isBack = { id: String -> of(id, CameraCharacteristics.LENS_FACING) == BACK }
            val id = ids.firstOrNull(isBack) ?: ids.firstOrNull()
            if (id == null) {
                onProblem(Strings.CAMERA_MISSING)
            } else {
                val sizes = of(id, CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP)
                size = chosen(sizes?.getOutputSizes(SurfaceTexture::class.java).orEmpty().toList())
                isTurned = (of(id, CameraCharacteristics.SENSOR_ORIENTATION) ?: 0) % HALF_TURN != 0
                manager.openCamera(id, Opened(), main)
            }
        }

    private fun <T> of(
        id: String,
        key: CameraCharacteristics.Key<T>,
    ): T? = manager.getCameraCharacteristics(id).get(key)

    private fun show(camera: CameraDevice) =
        trying {
            val texture = checkNotNull(texture)
            texture.setDefaultBufferSize(size.width, size.height)
            val surface = Surface(texture)
            val request = camera.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW)
            request.addTarget(surface)
            request.set(CaptureRequest.CONTROL_AF_MODE, CaptureRequest.CONTROL_AF_MODE_CONTINUOUS_PICTURE)
            camera.createCaptureSession(listOf(surface), Configured(request.build()), main)
        }

    /** Catches errors, since another app can take the camera between any two calls. */
    private fun trying(block: () -> Unit) {
        try {
            block()
        } catch (error: CameraAccessException) {
            onProblem(Strings.cameraFailed(error.message))
        } catch (error: IllegalArgumentException) {
            onProblem(Strings.cameraFailed(error.message))
        } catch (error: IllegalStateException) {
            onProblem(Strings.cameraFailed(error.message))
        } catch (_: SecurityException) {
            onProblem(Strings.CAMERA_REFUSED)
        }
    }

    private inner class Listener : TextureView.SurfaceTextureListener {
        override fun onSurfaceTextureAvailable(
            surface: SurfaceTexture,
            width: Int,
            height: Int,
        ) {
            start(surface)
        }

        override fun onSurfaceTextureSizeChanged(
            surface: SurfaceTexture,
            width: Int,
            height: Int,
        ) {
        }

        override fun onSurfaceTextureDestroyed(surface: SurfaceTexture): Boolean = true

        override fun onSurfaceTextureUpdated(surface: SurfaceTexture) {
        }
    }

    private inner class Opened : CameraDevice.StateCallback() {
        override fun onOpened(camera: CameraDevice) {
            if (isWanted) {
                device = camera
                show(camera)
            } else {
                camera.close()
            }
        }

        override fun onDisconnected(camera: CameraDevice) = lost(camera, Strings.CAMERA_GONE)

        override fun onError(
            camera: CameraDevice,
            error: Int,
        ) = lost(camera, Strings.cameraFailed("error $error"))

        private fun lost(
            camera: CameraDevice,
            message: String,
        ) {
            camera.close()
            device = null
            onProblem(message)
        }
    }

    private inner class Configured(
        private val request: CaptureRequest,
    ) : CameraCaptureSession.StateCallback() {
        override fun onConfigured(session: CameraCaptureSession) =
            trying {
                if (isWanted) {
                    session.setRepeatingRequest(request, null, main)
                }
            }

        override fun onConfigureFailed(session: CameraCaptureSession) =
            onProblem(Strings.cameraFailed("it refused the session"))
    }

    internal companion object {
        private const val SIDE = 480 // enough for a model, and fast to copy
        private const val HALF_TURN = 180
        private const val BACK = CameraCharacteristics.LENS_FACING_BACK
        private val ORIENTATIONS = intArrayOf(1, 8, 3, 6) // by Surface.ROTATION_0 to 270

        /** Returns the smallest size that is large enough, or the largest size. */
        fun chosen(sizes: List<Size>): Size {
            val enough = sizes.filter { minOf(it.width, it.height) >= SIDE }
            return enough.minByOrNull { it.width * it.height } ?: sizes.maxByOrNull { it.width * it.height }
                ?: Size(SIDE, SIDE)
        }
    }
}
