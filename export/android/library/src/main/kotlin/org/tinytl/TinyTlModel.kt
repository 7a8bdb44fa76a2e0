package org.tinytl

import java.io.Closeable
import java.io.File
import java.io.IOException
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.channels.FileChannel

/**
 * An exported model that infers and keeps training.
 *
 * A model is thread-safe: calls run one at a time. A call that throws does not change the model. Learned values are
 * only in memory until [save] writes them.
 *
 * ```
 * TinyTlModel.open(File(filesDir, "photos.tflite"), File(filesDir, "photos.manifest.json")).use { model ->
 *     model.train(batch, labels, 1e-3f)
 *     model.save(File(filesDir, "mine.tinytl"))
 *     val answer = model.labels[model.infer(pixels).best]
 * }
 * ```
 *
 * A model of arrays takes a `FloatArray` instead of pixels, see [array].
 *
 * A model that was exported with spare classes can learn new classes: see [addClass].
 *
 * @property manifest description of the file
 * @property threads number of threads of the kernels
 * @property xnnpack whether XNNPACK is used
 */
public class TinyTlModel private constructor(
    public val manifest: Manifest,
    public val threads: Int,
    public val xnnpack: Boolean,
    private val fingerprintBytes: ByteArray,
    private val runtime: Runtime,
) : Closeable {
    private val lock = Any()
    private var isClosed = false

    @Volatile
    private var added: List<String> = emptyList()
    private val contract = Contract.check(runtime.signatures, manifest)
    private val inputs = mapValues { it.inputs }
    private val outputs = mapValues { it.outputs }

    /** Names of the classes, attributes or predicted numbers in use, in the order of the outputs; added ones last. */
    public val labels: List<String>
        get() = manifest.labels + added

    /** Number of classes that [addClass] can still add. */
    public val spareClasses: Int
        get() = manifest.spareClasses - added.size

    /** Task of the labels. */
    public val task: Task
        get() = manifest.task

    /** Input of the model, or null if it takes images. */
    public val array: ArrayInput?
        get() = manifest.array

    /**
     * Height of an image in pixels.
     *
     * @throws InputException if the model takes arrays
     */
    public val height: Int
        get() = manifest.height

    /**
     * Width of an image in pixels.
     *
     * @throws InputException if the model takes arrays
     */
    public val width: Int
        get() = manifest.width

    /** Number of images or arrays in a training step. */
    public val batchSize: Int
        get() = contract.batch

    /** Number of float32 values in the state. */
    public val stateSize: Int
        get() = contract.stateSize

    /** SHA-256 of the `.tflite`, 32 bytes; a state file belongs to it. */
    public val fingerprint: ByteArray
        get() = fingerprintBytes.copyOf()

    /** Memory of a training step in bytes, as planned by the exporter without XNNPACK. */
    public val plannedTrainingBytes: Long
        get() = manifest.plannedPeakBytes[Tensors.TRAIN] ?: 0

    private val one: String
        get() = if (array == null) "image" else "array"

    /**
     * Runs inference on one image.
     *
     * @param pixels raw RGB values from 0 to 255, in rows from the top: 3 * [height] * [width] bytes, see [Pixels]
     * @throws InputException if the image has a different size, or the model takes arrays
     */
    public fun infer(pixels: ByteArray): InferResult = infer(ModelInput.Image(pixels))

    /**
     * Runs inference on one array.
     *
     * @param array raw numbers in row-major order, [ArrayInput.size] of [TinyTlModel.array]
     * @throws InputException if the array has a different size, a number is not finite, or the model takes images
     */
    public fun infer(array: FloatArray): InferResult = infer(ModelInput.Array(array))

    internal fun infer(example: ModelInput): InferResult {
        example.check(manifest, null)
        return running(Tensors.INFER) { input, output ->
            example.put(input.getValue(manifest.inputName))
            run(Tensors.INFER)
            val used = manifest.labels.size + added.size
            InferResult(
                floats(output.getValue(Tensors.LOGITS)).copyOf(used),
                floats(output.getValue(Tensors.PROBABILITIES)).copyOf(used),
                task,
            )
        }
    }

    /**
     * Takes one training step on images of one class each.
     *
     * @param batch [batchSize] images in the format of [infer]
     * @param labels the index of each image's class in [TinyTlModel.labels]
     * @param learningRate finite, not negative
     * @throws InputException if an argument has an invalid size or value, or the model does not classify images of one
     *   class each
     */
    public fun train(
        batch: List<ByteArray>,
        labels: IntArray,
        learningRate: Float,
    ): TrainResult = step(batch.map { ModelInput.Image(it) }, labels, learningRate)

    /**
     * Takes one training step on arrays of one class each.
     *
     * @param batch [batchSize] arrays in the format of [infer]
     * @param labels the index of each array's class in [TinyTlModel.labels]
     * @param learningRate finite, not negative
     * @throws InputException if an argument has an invalid size or value, or the model does not classify arrays of one
     *   class each
     */
    @JvmName("trainArrays")
    public fun train(
        batch: List<FloatArray>,
        labels: IntArray,
        learningRate: Float,
    ): TrainResult = step(batch.map { ModelInput.Array(it) }, labels, learningRate)

    internal fun step(
        batch: List<ModelInput>,
        labels: IntArray,
        learningRate: Float,
    ): TrainResult {
        if (task != Task.CLASSIFICATION) {
            val outputs = if (task == Task.MULTILABEL) "attributes" else "outputs"
            throw InputException(
                "expected a number for each of ${contract.outputs} $outputs of each $one, got the index of one " +
                    "class; pass a FloatArray",
            )
        }
        if (labels.size != batchSize) {
            throw InputException("expected $batchSize labels, one for each $one, got ${labels.size}; pass as many")
        }
        val used = this.labels.indices
        labels.find { it !in used }?.let {
            throw InputException(
                "expected labels from 0 to ${used.last}, got $it; pass indices into labels, or add a class with " +
                    "addClass",
            )
        }
        return step(batch, learningRate) { buffer -> labels.forEach { buffer.putInt(it) } }
    }

    /**
     * Takes one training step on images with several attributes, or with numbers to predict.
     *
     * @param batch [batchSize] images in the format of [infer]
     * @param numbers for each image a number for each of [labels], one image after the other: from 0 to 1 for an
     *   attribute, finite for a regression
     * @param learningRate finite, not negative
     * @throws InputException if an argument has an invalid size or value, or the model is for images of one class each,
     *   or takes arrays
     */
    public fun train(
        batch: List<ByteArray>,
        numbers: FloatArray,
        learningRate: Float,
    ): TrainResult = step(batch.map { ModelInput.Image(it) }, numbers, learningRate)

    /**
     * Takes one training step on arrays with several attributes, or with numbers to predict.
     *
     * @param batch [batchSize] arrays in the format of [infer]
     * @param numbers for each array a number for each of [labels], one array after the other: from 0 to 1 for an
     *   attribute, finite for a regression
     * @param learningRate finite, not negative
     * @throws InputException if an argument has an invalid size or value, or the model is for arrays of one class each,
     *   or takes images
     */
    @JvmName("trainArrays")
    public fun train(
        batch: List<FloatArray>,
        numbers: FloatArray,
        learningRate: Float,
    ): TrainResult = step(batch.map { ModelInput.Array(it) }, numbers, learningRate)

    internal fun step(
        batch: List<ModelInput>,
        numbers: FloatArray,
        learningRate: Float,
    ): TrainResult {
        if (task == Task.CLASSIFICATION) {
            throw InputException(
                "expected the index of the class of each $one, got a number for each output; pass an IntArray",
            )
        }
        val expected = batchSize * contract.outputs
        if (numbers.size != expected) {
            throw InputException(
                "expected $expected numbers, ${contract.outputs} for each of $batchSize ${one}s, got " +
                    "${numbers.size}; pass one for each output",
            )
        }
        numbers.find { it.isNaN() || it.isInfinite() || (task == Task.MULTILABEL && it !in 0f..1f) }?.let {
            throw InputException(
                if (task == Task.MULTILABEL) {
                    "expected labels from 0 to 1 for each attribute, got $it; pass 1 if the $one has the attribute"
                } else {
                    "expected labels that are finite numbers, got $it; leave that $one out"
                },
            )
        }
        return step(batch, learningRate) { buffer -> numbers.forEach { buffer.putFloat(it) } }
    }

    /**
     * Gives a spare output to a new class, which then trains like all other classes.
     *
     * Its weights start as the mean of the other classes' weights, so that its logit is the mean of their logits. If
     * the optimizer's slots are not part of the state, they are reset.
     *
     * ```
     * val tulip = model.addClass("tulip")
     * ```
     *
     * @param name a name that is not in [labels]; it is converted to Unicode's form NFC
     * @return the label of the class
     * @throws InputException if the model has no spare class left, or the name is taken or invalid, see
     *   [ClassNames.entered]; the model is unchanged
     */
    public fun addClass(name: String): Int =
        synchronized(lock) {
            if (spareClasses < 1) {
                throw InputException(
                    "expected a spare output for another class, got none: the model was exported with " +
                        "${manifest.spareClasses}; export it with more --spare_classes",
                )
            }
            val chosen = ClassNames.entered(name)
            if (chosen in labels.map { ClassNames.normalized(it) }) {
                throw ClassNames.twice(chosen)
            }
            val names = added + chosen
            ClassNames.encoded(names)
            val state = state()
            val label = manifest.labels.size + added.size
            for (entry in manifest.classifier) {
                for (row in entry.offset until entry.offset + entry.size step contract.outputs) {
                    state[row + label] = ((row until row + label).sumOf { state[it].toDouble() } / label).toFloat()
                }
            }
            setState(state, names)
            label
        }

    /** Returns a copy of all values that training changes. */
    public fun state(): FloatArray =
        running(Tensors.SAVE) { _, output ->
            run(Tensors.SAVE)
            floats(output.getValue(Tensors.STATE))
        }

    /**
     * Replaces all values that training changes.
     *
     * @param state a state from [state]
     * @throws InputException if it has a different size or number of classes, or a value is not finite; the model is
     *   unchanged
     */
    public fun setState(state: FloatArray) {
        synchronized(lock) { setState(state, added) }
    }

    /** Replaces the state and the added classes; the caller holds the lock. */
    private fun setState(
        state: FloatArray,
        names: List<String>,
    ) {
        if (state.size != stateSize) {
            throw InputException("expected a state of $stateSize values, got ${state.size}; use a state of this model")
        }
        StateFile.checkFinite(state, "cannot set the state")
        StateCheck.checkSlots(state, manifest)
        StateCheck.checkOutputs(state, manifest, names.size, "cannot set the state")
        val isRestored =
            running(Tensors.RESTORE) { input, output ->
                state.forEach { input.getValue(Tensors.STATE).putFloat(it) }
                run(Tensors.RESTORE)
                output.getValue(Tensors.RESTORED).getInt(0) != 0
            }
        if (!isRestored) {
            throw InputException(
                "cannot set the state: no training leads to it (its values add up to over 1e15); use another " +
                    "copy, or reset the model and train with a lower learning rate",
            )
        }
        added = names
    }

    /**
     * Writes the state to a `.tinytl` file atomically; an existing file is replaced.
     *
     * @param file the file to write
     * @throws InputException if the file cannot be written
     */
    public fun save(file: File) {
        val (state, names) = synchronized(lock) { Pair(state(), added) }
        StateFile.write(file, state, fingerprintBytes, names)
    }

    /**
     * Sets the state from a `.tinytl` file that any client has saved from this model or a copy of its file.
     *
     * @param file the file to read
     * @throws InputException if the file is damaged or belongs to another model; the model is unchanged
     */
    public fun restore(file: File) {
        val saved = StateFile.readState(file, fingerprintBytes, stateSize)
        StateCheck.checkAdded(saved.addedClasses, manifest, file)
        synchronized(lock) { setState(saved.values, saved.addedClasses) }
    }

    /** Restores the exported state and classes. */
    public fun reset() {
        running(Tensors.RESET) { _, _ ->
            run(Tensors.RESET)
            added = emptyList()
        }
    }

    /** Frees the runtime after the current call; an unsaved state is lost. A second call does nothing. */
    override fun close() {
        synchronized(lock) {
            if (!isClosed) {
                isClosed = true
                runtime.close()
            }
        }
    }

    private inline fun step(
        batch: List<ModelInput>,
        learningRate: Float,
        putLabels: (ByteBuffer) -> Unit,
    ): TrainResult {
        if (batch.size != batchSize) {
            throw InputException(
                "expected a batch of $batchSize ${one}s, got ${batch.size}; if there are fewer, repeat them",
            )
        }
        batch.forEachIndexed { index, example -> example.check(manifest, index) }
        if (!(learningRate >= 0 && learningRate <= Float.MAX_VALUE)) {
            throw InputException(
                "expected a learning rate that is finite and not negative, got $learningRate; try 0.001",
            )
        }
        return running(Tensors.TRAIN) { input, output ->
            batch.forEach { it.put(input.getValue(manifest.inputName)) }
            putLabels(input.getValue(Tensors.LABEL))
            input.getValue(Tensors.LEARNING_RATE).putFloat(learningRate)
            run(Tensors.TRAIN)
            TrainResult(
                loss = output.getValue(Tensors.LOSS).getFloat(0),
                accuracy = output.getValue(Tensors.ACCURACY).getFloat(0),
                applied = output.getValue(Tensors.APPLIED).getInt(0) != 0,
            )
        }
    }

    /** Runs a call while it holds the lock of the runtime and its buffers. */
    private inline fun <T> running(
        signature: String,
        block: (inputs: Map<String, ByteBuffer>, outputs: Map<String, ByteBuffer>) -> T,
    ): T =
        synchronized(lock) {
            if (isClosed) {
                throw InputException("expected an open model, got a closed one; open it again")
            }
            val input = inputs.getValue(signature)
            input.values.forEach { it.clear() }
            block(input, outputs.getValue(signature))
        }

    private fun run(signature: String) {
        runtime.run(signature, inputs.getValue(signature), outputs.getValue(signature))
    }

    private fun floats(buffer: ByteBuffer): FloatArray {
        val values = FloatArray(buffer.capacity() / Float.SIZE_BYTES)
        buffer.clear()
        buffer.asFloatBuffer().get(values)
        return values
    }

    private fun mapValues(tensors: (SignatureSpec) -> Map<String, TensorSpec>): Map<String, Map<String, ByteBuffer>> =
        runtime.signatures.mapValues { (_, signature) ->
            tensors(signature).mapValues { (_, tensor) ->
                ByteBuffer.allocateDirect(tensor.bytes).order(ByteOrder.nativeOrder())
            }
        }

    /** Opens models. */
    public companion object {
        /** Default number of threads of the kernels, as in the Python client. */
        public const val THREADS: Int = 2

        private const val MOST_THREADS = 256

        /**
         * Opens a model.
         *
         * @param model the `.tflite`; it is mapped while the model is open
         * @param manifest the `.manifest.json` of the model
         * @param threads number of threads of the kernels
         * @param xnnpack whether to use XNNPACK, which is faster and needs more memory; null for the manifest's setting
         * @throws InputException if a file cannot be read, the files do not belong together, or the runtime refuses the
         *   model
         */
        @JvmStatic
        @JvmOverloads
        public fun open(
            model: File,
            manifest: File,
            threads: Int = THREADS,
            xnnpack: Boolean? = null,
        ): TinyTlModel {
            val parsed = Manifest.read(manifest)
            val bytes =
                try {
                    RandomAccessFile(model, "r").use { it.channel.map(FileChannel.MapMode.READ_ONLY, 0, it.length()) }
                } catch (error: IOException) {
                    throw InputException(
                        "expected a .tflite file at $model, got: ${error.message}; check the path",
                        error,
                    )
                }
            return open(bytes, parsed, threads, xnnpack)
        }

        /**
         * Opens a model from bytes that are in memory or mapped, for example from the app's assets.
         *
         * @param model bytes of the `.tflite`, a direct buffer that must not change while the model is open
         * @param manifest manifest of the model
         * @param threads number of threads of the kernels
         * @param xnnpack whether to use XNNPACK, which is faster and needs more memory; null for the manifest's setting
         * @param runtime creates the runtime
         * @throws InputException if they do not belong together, or the runtime refuses the model
         */
        @JvmStatic
        @JvmOverloads
        public fun open(
            model: ByteBuffer,
            manifest: Manifest,
            threads: Int = THREADS,
            xnnpack: Boolean? = null,
            runtime: RuntimeFactory = RuntimeFactory(::LiteRtInterpreter),
        ): TinyTlModel {
            if (threads !in 1..MOST_THREADS) {
                throw InputException("expected 1 to $MOST_THREADS threads, got $threads; use the number of fast cores")
            }
            if (!model.isDirect) {
                throw InputException(
                    "expected the model in a direct buffer, got a heap buffer; map the file or use allocateDirect",
                )
            }
            val fingerprint = Fingerprint.of(model)
            if (Fingerprint.hex(fingerprint) != manifest.sha256) {
                throw InputException(
                    "expected the .tflite with sha256 ${manifest.sha256.take(SHOWN)}... that the manifest is of, got " +
                        "${Fingerprint.short(
                            fingerprint,
                        )}; one of the files is damaged or of another export: copy both again",
                )
            }
            val bytes = model.duplicate().order(ByteOrder.nativeOrder())
            bytes.clear()
            val usesXnnpack = xnnpack ?: manifest.xnnpack
            val loaded = runtime.create(bytes, threads, usesXnnpack)
            try {
                return TinyTlModel(manifest, threads, usesXnnpack, fingerprint, loaded)
            } catch (error: InputException) {
                loaded.close()
                throw error
            }
        }

        private const val SHOWN = 12
    }
}
