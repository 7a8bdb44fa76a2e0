package org.tinytl.sample

import android.Manifest
import android.app.Activity
import android.content.ActivityNotFoundException
import android.content.ClipData
import android.content.Intent
import android.content.pm.PackageManager
import android.net.Uri
import android.os.Bundle
import android.provider.MediaStore
import org.tinytl.InputException
import org.tinytl.TrainingJob
import java.io.IOException
import java.io.InputStream

/** The main screen: classes and their photos, training, predictions. It has no state that a rotation could lose. */
class MainActivity : Activity() {
    private val session get() = (application as SampleApplication).session
    private lateinit var screen: Screen

    /** The class of the requested photos; [CLASSIFY] to classify a photo. */
    private var target = CLASSIFY

    override fun onCreate(savedInstanceState: Bundle?) {
        setTheme(Themes.of(resources.configuration))
        super.onCreate(savedInstanceState)
        target = savedInstanceState?.getInt(TARGET, CLASSIFY) ?: CLASSIFY
        screen =
            Screen(
                this,
                ScreenActions(
                    addClass = { session.addClass(it) },
                    pick = ::pick,
                    take = ::take,
                    live = { startActivity(Intent(this, CameraActivity::class.java)) },
                    train = { session.train() },
                    trainLater = ::trainLater,
                    stop = { session.stop() },
                    save = { session.save() },
                    restore = { session.restore() },
                    reset = { session.reset() },
                    share = ::share,
                ),
            )
        setContentView(screen.root)
        session.open()
    }

    override fun onStart() {
        super.onStart()
        session.observer = ::render
        render()
    }

    override fun onStop() {
        session.observer = null
        super.onStop()
    }

    override fun onSaveInstanceState(outState: Bundle) {
        super.onSaveInstanceState(outState)
        outState.putInt(TARGET, target)
    }

    @Deprecated("The framework has no other way without AndroidX")
    public override fun onActivityResult(
        requestCode: Int,
        resultCode: Int,
        data: Intent?,
    ) {
        if (resultCode != RESULT_OK) {
            return
        }
        val photos = if (requestCode == TAKE) listOf(SharedFiles.uri(SharedFiles.PHOTO)) else picked(data)
        if (photos.isEmpty()) {
            return
        }
        if (target == CLASSIFY) {
            session.classify(opener(photos.first()))
        } else {
            session.addPhotos(target, photos.map { Pair(it.lastPathSegment ?: Strings.THE_PHOTO, opener(it)) })
        }
    }

    private fun render() = screen.show(session.status, session.project.classes(), session.model)

    private fun pick(index: Int) {
        target = index
        val intent = Intent(Intent.ACTION_OPEN_DOCUMENT).setType("image/*").addCategory(Intent.CATEGORY_OPENABLE)
        intent.putExtra(Intent.EXTRA_ALLOW_MULTIPLE, index != CLASSIFY)
        ask(intent, PICK, Strings.NO_PICKER)
    }

    /** An app that declares the camera permission needs it to open another camera app. */
    private fun take(index: Int) {
        target = index
        if (checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED) {
            take()
        } else {
            requestPermissions(arrayOf(Manifest.permission.CAMERA), TAKE)
        }
    }

    override fun onRequestPermissionsResult(
        requestCode: Int,
        permissions: Array<String>,
        grantResults: IntArray,
    ) {
        if (requestCode == TAKE && grantResults.firstOrNull() == PackageManager.PERMISSION_GRANTED) {
            take()
        } else {
            screen.showMessage(Strings.CAMERA_REFUSED)
        }
    }

    private fun take() {
        val uri = SharedFiles.uri(SharedFiles.PHOTO)
        SharedFiles.file(this, SharedFiles.PHOTO).delete()
        val intent = Intent(MediaStore.ACTION_IMAGE_CAPTURE).putExtra(MediaStore.EXTRA_OUTPUT, uri)
        intent.clipData = ClipData.newRawUri("", uri)
        intent.addFlags(Intent.FLAG_GRANT_WRITE_URI_PERMISSION or Intent.FLAG_GRANT_READ_URI_PERMISSION)
        ask(intent, TAKE, Strings.NO_CAMERA)
    }

    private fun ask(
        intent: Intent,
        code: Int,
        otherwise: String,
    ) {
        try {
            startActivityForResult(intent, code)
        } catch (_: ActivityNotFoundException) {
            screen.showMessage(otherwise)
        }
    }

    private fun trainLater() {
        try {
            TrainingJob.schedule(this, SampleTrainingJob::class.java, SampleTrainingJob.ID, charging = true)
            screen.showMessage(Strings.SCHEDULED)
        } catch (error: InputException) {
            screen.showMessage(error.message.orEmpty())
        }
    }

    private fun share() {
        session.share(SharedFiles.file(this, SharedFiles.STATE)) {
            val uri = SharedFiles.uri(SharedFiles.STATE)
            val intent = Intent(Intent.ACTION_SEND).setType(SharedFiles.STATE_TYPE).putExtra(Intent.EXTRA_STREAM, uri)
            intent.clipData = ClipData.newRawUri("", uri)
            intent.addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION)
            startActivity(Intent.createChooser(intent, Strings.SHARE))
        }
    }

    private fun picked(data: Intent?): List<Uri> {
        val clip = data?.clipData ?: return listOfNotNull(data?.data)
        return List(clip.itemCount) { clip.getItemAt(it).uri }
    }

    private fun opener(uri: Uri): () -> InputStream {
        val resolver = contentResolver
        return { resolver.openInputStream(uri) ?: throw IOException("it no longer exists") }
    }

    internal companion object {
        const val CLASSIFY = -1
        const val PICK = 1
        const val TAKE = 2
        private const val TARGET = "target"
    }
}
