package org.tinytl

import org.json.JSONArray
import org.json.JSONObject
import java.nio.ByteBuffer

/** A runtime that answers what a test tells it to, and remembers what it was given. */
internal class ScriptedRuntime(
    private val manifest: Manifest,
) : Runtime {
    /** What each step returns, by its number. */
    var steps: (Int) -> TrainResult = { TrainResult(loss = 2.5f, accuracy = 0.75f, applied = true) }

    /** The logits of each answer, by the number of steps before it and the first byte of the image or array. */
    var logits: (Int, Int) -> FloatArray = { _, _ -> FloatArray(outputs) { it.toFloat() } }

    /** Labels, images and rates of all steps. */
    val labels = ArrayList<List<Number>>()
    val images = ArrayList<List<List<Byte>>>()
    val rates = ArrayList<Float>()
    var calls = 0
        private set
    var state = FloatArray(manifest.stateSize)

    private val outputs = manifest.labels.size + manifest.spareClasses
    private val exported = state.copyOf()

    override val signatures: Map<String, SignatureSpec> = signatures(manifest)

    override fun run(
        signature: String,
        inputs: Map<String, ByteBuffer>,
        outputs: Map<String, ByteBuffer>,
    ) {
        calls++
        when (signature) {
            "train" -> train(inputs, outputs)
            "infer" -> infer(inputs.getValue(manifest.inputName), outputs)
            "save" ->
                outputs.getValue("state").let { buffer ->
                    state.indices.forEach { buffer.putFloat(4 * it, state[it]) }
                }
            "restore" -> {
                state = FloatArray(state.size) { inputs.getValue("state").getFloat(4 * it) }
                outputs.getValue("restored").putInt(0, 1)
            }
            else -> state = exported.copyOf()
        }
    }

    override fun close() = Unit

    private fun train(
        inputs: Map<String, ByteBuffer>,
        outputs: Map<String, ByteBuffer>,
    ) {
        val result = steps(rates.size)
        val label = inputs.getValue("label")
        val isNumber = manifest.task == Task.CLASSIFICATION
        labels += List(label.capacity() / 4) { if (isNumber) label.getInt(4 * it) else label.getFloat(4 * it) }
        val image = inputs.getValue(manifest.inputName)
        val size = image.capacity() / manifest.batchSize
        images += List(manifest.batchSize) { index -> List(size) { image.get(index * size + it) } }
        rates += inputs.getValue("learning_rate").getFloat(0)
        outputs.getValue("loss").putFloat(0, result.loss)
        outputs.getValue("accuracy").putFloat(0, result.accuracy)
        outputs.getValue("applied").putInt(0, if (result.applied) 1 else 0)
    }

    private fun infer(
        image: ByteBuffer,
        outputs: Map<String, ByteBuffer>,
    ) {
        val answer = logits(rates.size, image.get(0).toInt() and 0xFF)
        answer.forEachIndexed { index, logit -> outputs.getValue("logits").putFloat(4 * index, logit) }
    }

    companion object {
        private const val F = "float32"

        /** A manifest of small images: the golden one with other values. */
        fun manifest(change: (JSONObject) -> Unit = { }): Manifest {
            val values = JSONObject(Golden.file("model_float32.manifest.json").readText())
            values.getJSONObject("input").put("size", JSONArray(listOf(2, 2)))
            values.put("batch_size", 2).put("optimizer", "sgd")
            values.put("state", JSONArray(listOf(entry("classifier/bias", listOf(5), 0))))
            values.put("sha256", Fingerprint.hex(Fingerprint.of(content())))
            change(values)
            return Manifest.parse(values.toString())
        }

        /** A manifest of small arrays of two classes, or, as a regression, of two numbers: the golden one with others. */
        fun arrays(
            task: Task = Task.CLASSIFICATION,
            change: (JSONObject) -> Unit = { },
        ): Manifest {
            val name = if (task == Task.REGRESSION) "regression" else "array"
            val values = JSONObject(Golden.file("model_$name.manifest.json").readText())
            values.put("labels", JSONArray(listOf("a", "b"))).put("batch_size", 2).put("optimizer", "sgd")
            values.getJSONObject("inputs").getJSONObject("array").put("shape", JSONArray(listOf(3, 2)))
            values.put("state", JSONArray(listOf(entry("classifier/bias", listOf(2), 0))))
            values.put("sha256", Fingerprint.hex(Fingerprint.of(content())))
            change(values)
            return Manifest.parse(values.toString())
        }

        /** An entry of `state` in a manifest. */
        fun entry(
            name: String,
            shape: List<Int>,
            offset: Int,
        ): JSONObject =
            JSONObject()
                .put("name", name)
                .put("shape", JSONArray(shape))
                .put("offset", offset)
                .put("slot", "")

        fun open(
            runtime: ScriptedRuntime,
            manifest: Manifest = runtime.manifest,
        ): TinyTlModel = TinyTlModel.open(content(), manifest) { _, _, _ -> runtime }

        private fun content() = ByteBuffer.allocateDirect(8)

        private fun signatures(manifest: Manifest): Map<String, SignatureSpec> {
            val classes = manifest.labels.size + manifest.spareClasses
            val batch = manifest.batchSize
            val taken = { count: Int ->
                manifest.array?.let { "array" to TensorSpec(TensorType.FLOAT32, listOf(count) + it.shape) }
                    ?: ("image" to TensorSpec(TensorType.UINT8, listOf(count, manifest.height, manifest.width, 3)))
            }
            val label = if (manifest.task == Task.CLASSIFICATION) spec("int32", batch) else spec(F, batch, classes)
            val state = mapOf("state" to spec(F, manifest.stateSize))
            val done = mapOf("restored" to spec("int32", 1))
            val answers = listOf("logits", "probabilities").associateWith { spec(F, 1, classes) }
            val figures = mapOf("loss" to spec(F, 1), "accuracy" to spec(F, 1), "applied" to spec("int32", 1))
            return mapOf(
                "infer" to SignatureSpec(mapOf(taken(1)), answers),
                "train" to
                    SignatureSpec(
                        mapOf(
                            taken(batch),
                            "label" to label,
                            "learning_rate" to spec(F, 1),
                        ),
                        figures,
                    ),
                "save" to SignatureSpec(emptyMap(), state),
                "restore" to SignatureSpec(state, done),
                "reset" to SignatureSpec(emptyMap(), done),
            )
        }

        private fun spec(
            type: String,
            vararg shape: Int,
        ) = TensorSpec(TensorType.entries.single { it.manifestName == type }, shape.toList())
    }
}

/** A photo of one color, 2 x 2 pixels, each level of which is [level]. */
internal class Flat(
    private val level: Int,
    override val name: String = "photo $level",
) : ImageSource {
    override fun read(shortSide: Int) = RgbImage(2, 2, ByteArray(12) { level.toByte() })
}
