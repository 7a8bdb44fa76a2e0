package org.tinytl.sample

import android.util.AtomicFile
import org.json.JSONArray
import org.json.JSONException
import org.json.JSONObject
import org.tinytl.Example
import org.tinytl.Photo
import java.io.File

/**
 * The user's classes and their photos, stored in a file, so that they survive rotations and the end of the process.
 *
 * It is thread-safe.
 *
 * @param folder folder of the file and the photos
 */
internal class Project(
    folder: File,
) {
    private val file = AtomicFile(File(folder, "project.json"))
    private val photos = File(folder, "photos")
    private val classes = ArrayList<PhotoClass>()

    /** Why the stored classes could not be read; null if they could. */
    val problem: String?

    init {
        problem =
            try {
                if (file.baseFile.exists()) {
                    classes += read()
                }
                null
            } catch (_: JSONException) {
                file.baseFile.renameTo(File(folder, "project.json.damaged"))
                Strings.PROJECT_DAMAGED
            }
    }

    /** The classes, in the order in which they were added. */
    @Synchronized
    fun classes(): List<PhotoClass> = classes.toList()

    /** Adds a class without photos. */
    @Synchronized
    fun addClass(name: String) {
        classes += PhotoClass(name, emptyList())
        write()
    }

    /** Returns a file for a new photo, which belongs to a class after [addPhoto]. */
    fun newPhoto(): File {
        photos.mkdirs()
        return File.createTempFile("photo", ".jpg", photos)
    }

    /** Adds the photo in a file of [newPhoto] to a class. */
    @Synchronized
    fun addPhoto(
        index: Int,
        photo: File,
    ) {
        val old = classes[index]
        classes[index] = old.copy(photos = old.photos + photo.name)
        write()
    }

    /**
     * Returns all photos with the names of their classes.
     *
     * @param labels names that the model has for the user's classes, in their order; null for the user's names
     */
    @Synchronized
    fun examples(labels: List<String>?): List<Example> =
        classes.flatMapIndexed { index, photoClass ->
            val label = labels?.get(index) ?: photoClass.name
            photoClass.photos.map { photo -> Example(Photo(photo) { File(photos, photo).inputStream() }, label) }
        }

    /** Photos without a file are dropped: they can be neither trained on nor removed. */
    private fun read(): List<PhotoClass> {
        val rows = JSONArray(file.readFully().toString(Charsets.UTF_8))
        return List(rows.length(), rows::getJSONObject).map { row ->
            val names = row.getJSONArray("photos")
            PhotoClass(
                row.getString("name"),
                List(names.length(), names::getString).filter { File(photos, it).exists() },
            )
        }
    }

    private fun write() {
        val rows = JSONArray()
        for (photoClass in classes) {
            rows.put(JSONObject().put("name", photoClass.name).put("photos", JSONArray(photoClass.photos)))
        }
        val stream = file.startWrite()
        stream.write(rows.toString().toByteArray())
        file.finishWrite(stream)
    }
}

/**
 * A class of the user.
 *
 * @property name as the user wrote it
 * @property photos names of the photo files
 */
internal data class PhotoClass(
    val name: String,
    val photos: List<String>,
)
