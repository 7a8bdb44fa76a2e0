package org.tinytl.sample

import android.util.AtomicFile
import org.json.JSONArray
import org.json.JSONException
import org.json.JSONObject
import org.tinytl.Example
import org.tinytl.Photo
import java.io.File

/**
 * The classes that the user named, and their photos; kept in a file, so that neither a rotation nor the end of the
 * process loses them.
 *
 * It is safe for threads.
 *
 * @param folder where the file and the photos are
 */
internal class Project(
    folder: File,
) {
    private val file = AtomicFile(File(folder, "project.json"))
    private val photos = File(folder, "photos")
    private val classes = ArrayList<PhotoClass>()

    /** Why the classes of before are not there; null if they are. */
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

    /** Returns a file for a photo that comes next; it belongs to no class until [addPhoto]. */
    fun newPhoto(): File {
        photos.mkdirs()
        return File.createTempFile("photo", ".jpg", photos)
    }

    /** Puts a photo that is in a file of [newPhoto] into a class. */
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
     * @param labels the model's names of the classes, in the order of the user's classes; null for their own names
     */
    @Synchronized
    fun examples(labels: List<String>?): List<Example> =
        classes.flatMapIndexed { index, photoClass ->
            val label = labels?.get(index) ?: photoClass.name
            photoClass.photos.map { photo -> Example(Photo(photo) { File(photos, photo).inputStream() }, label) }
        }

    /** A photo without its file is dropped: it can be neither trained on nor removed. */
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
 * @property photos names of their files
 */
internal data class PhotoClass(
    val name: String,
    val photos: List<String>,
)
