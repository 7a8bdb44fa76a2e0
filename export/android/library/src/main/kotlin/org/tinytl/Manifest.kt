package org.tinytl

import java.io.File
import java.io.IOException

/**
 * Description of an exported file, from its `.manifest.json`.
 *
 * @property labels names of the classes, attributes or predicted numbers, in the order of the outputs; they are in
 *   Unicode's form NFC and all different
 * @property spareClasses number of outputs after [labels] without a class
 * @property task task of the labels
 * @property array input of the model, or null if it takes images
 * @property splitSeed default seed of the choice of held-out photos, see [Example.holdOut]
 * @property split how photos were held out in the training before the export: `content`, or empty for older exports
 *   with a different rule
 * @property backbone name of the network
 * @property scheme name of the update scheme
 * @property optimizer name of the optimizer
 * @property batchSize number of images or arrays in a training step
 * @property labelSmoothing label smoothing of the loss
 * @property profile memory profile of the export
 * @property xnnpack whether to use XNNPACK by default
 * @property frozenWeights type of the frozen kernels, `float32` or `int8`
 * @property signatures signatures of the file
 * @property state the parts of the state, in order
 * @property minRuntimeVersion oldest TensorFlow Lite that supports all operators of the file
 * @property plannedPeakBytes memory of each signature in bytes without a delegate
 * @property learningRate default learning rate of the first step; 0.001 if an older export lacks it
 * @property learningRateFrom `run` if [learningRate] is the rate of the training before the export, `default` if it is
 *   the default of the scheme; empty if an older export lacks it
 * @property schedule default schedule of the learning rate
 * @property contract version of the signatures: 2, or 3 for a model of arrays or a regression
 * @property frozenSha256 digest of the network's frozen weights, in hexadecimal; empty if an older export lacks it
 * @property sha256 SHA-256 of the `.tflite`, in hexadecimal
 */
public class Manifest private constructor(
    public val labels: List<String>,
    public val spareClasses: Int,
    public val task: Task,
    public val array: ArrayInput?,
    private val photo: PhotoInput?,
    public val splitSeed: Long,
    public val split: String,
    public val backbone: String,
    public val scheme: String,
    public val optimizer: String,
    public val batchSize: Int,
    public val labelSmoothing: Double,
    public val profile: String,
    public val xnnpack: Boolean,
    public val frozenWeights: String,
    public val signatures: Map<String, SignatureSpec>,
    public val state: List<StateEntry>,
    public val minRuntimeVersion: String,
    public val plannedPeakBytes: Map<String, Long>,
    public val learningRate: Double,
    public val learningRateFrom: String,
    public val schedule: LearningRateSchedule,
    public val contract: Int,
    public val frozenSha256: String,
    public val sha256: String,
) {
    /**
     * Height of an image in pixels.
     *
     * @throws InputException if the model takes arrays, like [width], [centralFraction] and [augmentation]
     */
    public val height: Int
        get() = ofPhotos("height").height

    /** Width of an image in pixels. */
    public val width: Int
        get() = ofPhotos("width").width

    /** Fraction of each side of a photo, around its center, that the model was evaluated on. */
    public val centralFraction: Double
        get() = ofPhotos("centralFraction").centralFraction

    /** Default augmentation of training images. */
    public val augmentation: Augmentation
        get() = ofPhotos("augmentation").augmentation

    /** Number of float32 values in the state. */
    public val stateSize: Int
        get() = state.sumOf { it.size }

    /** Whether the state holds all that training continues from: the optimizer has no slots, or they are in it. */
    public val savesOptimizer: Boolean
        get() = optimizer == "sgd" || state.any { it.slot.isNotEmpty() }

    /** Whether photos were held out by the rule of [Example.holdOut] in the training before the export. */
    public val splitsByContent: Boolean
        get() = split == SPLIT

    /** Name of the model's input in the signatures. */
    internal val inputName: String
        get() = if (array == null) Tensors.IMAGE else Tensors.ARRAY

    /** Name of the model's examples in messages. */
    internal val examples: String
        get() = if (array == null) "photos" else "arrays"

    /** Returns the type and shape of a batch of examples. */
    internal fun inputSpec(batch: Int): TensorSpec =
        if (array == null) {
            TensorSpec(TensorType.UINT8, listOf(batch, height, width, RgbImage.CHANNELS))
        } else {
            TensorSpec(TensorType.FLOAT32, listOf(batch) + array.shape)
        }

    private fun ofPhotos(setting: String): PhotoInput =
        photo ?: throw InputException(
            "expected a model of images for $setting, got one of arrays of ${array?.shape}; pass arrays " +
                "unchanged, see Manifest.array",
        )

    /** The kernel and the bias of the classifier, whose last axis is the output. */
    internal val classifier: List<StateEntry>
        get() = state.filter { it.isOfClassifier }

    /** The bias of the classifier. */
    internal val classifierBias: StateEntry
        get() = classifier.first { it.name.endsWith(BIAS) }

    /** Reads manifests. */
    public companion object {
        private const val VERSION = 2
        private const val NEW_CONTRACT = 3
        private val CONTRACTS = 2..NEW_CONTRACT
        private const val LEARNING_RATE = 1e-3
        private const val BIAS = "/bias"
        private const val SPLIT = "content"
        private const val REMEDY = "export the model again"

        /**
         * Reads a manifest.
         *
         * @param file the `.manifest.json`
         * @throws InputException if it cannot be read, or [parse] refuses it
         */
        @JvmStatic
        public fun read(file: File): Manifest {
            val text =
                try {
                    file.readText()
                } catch (error: IOException) {
                    throw InputException(
                        "expected the model's manifest at $file, got: ${error.message}; copy both files of the export",
                        error,
                    )
                }
            return parse(text, file.toString())
        }

        /**
         * Parses a manifest.
         *
         * @param text content of the `.manifest.json`
         * @param name name of the file in errors
         * @throws InputException if it is damaged or has a different version
         */
        @JvmStatic
        @JvmOverloads
        public fun parse(
            text: String,
            name: String = "the manifest",
        ): Manifest {
            val fields = JsonFields.parse(text, name, REMEDY)
            val version = fields.int("format_version")
            if (version != VERSION) {
                fields.refuse("format_version", VERSION.toString(), version)
            }
            val contract = contract(fields)
            val array = ManifestInputs.array(fields)
            val task = task(fields)
            if (contract < NEW_CONTRACT && (array != null || task == Task.REGRESSION)) {
                fields.refuse("contract", "$NEW_CONTRACT, for arrays and for regression,", contract)
            }
            val labels = labels(fields)
            val state = state(fields)
            val data = fields.fields("data")
            return Manifest(
                labels = labels,
                spareClasses = spareClasses(fields, task, labels.size, state),
                task = task,
                array = array,
                photo = if (array == null) ManifestInputs.photo(fields) else null,
                splitSeed = splitSeed(data),
                split = data.optionalText("split"),
                backbone = fields.text("backbone"),
                scheme = fields.text("scheme"),
                optimizer = fields.text("optimizer"),
                batchSize = fields.int("batch_size"),
                labelSmoothing = labelSmoothing(fields, task),
                profile = fields.text("profile"),
                xnnpack = fields.flag("xnnpack"),
                frozenWeights = fields.text("frozen_weights"),
                signatures = signatures(fields.fields("signatures")),
                state = state,
                minRuntimeVersion = fields.text("min_runtime_version"),
                plannedPeakBytes = fields.fields("planned_peak_bytes").let { it.names.associateWith(it::long) },
                learningRate = learningRate(fields),
                learningRateFrom = fields.optionalText("learning_rate_from"),
                schedule = schedule(fields),
                contract = contract,
                frozenSha256 = fields.optionalText("frozen_sha256"),
                sha256 = fields.text("sha256"),
            )
        }

        private fun contract(fields: JsonFields): Int {
            val contract = fields.int("contract")
            if (contract !in CONTRACTS) {
                fields.refuse("contract", CONTRACTS.joinToString(" or "), contract)
            }
            return contract
        }

        private fun labelSmoothing(
            fields: JsonFields,
            task: Task,
        ): Double {
            val smoothing = fields.double("label_smoothing")
            if (smoothing != 0.0 && task == Task.REGRESSION) {
                fields.refuse("label_smoothing", "0, for a regression,", smoothing)
            }
            return smoothing
        }

        private fun learningRate(fields: JsonFields): Double {
            val rate = if ("learning_rate" in fields.names) fields.double("learning_rate") else LEARNING_RATE
            if (rate <= 0) {
                fields.refuse("learning_rate", "a number above 0", rate)
            }
            return rate
        }

        private fun schedule(fields: JsonFields): LearningRateSchedule {
            val name = fields.optionalText("schedule", LearningRateSchedule.COSINE.manifestName)
            return LearningRateSchedule.entries.find { it.manifestName == name }
                ?: fields.refuse(
                    "schedule",
                    LearningRateSchedule.entries.joinToString(" or ") { it.manifestName },
                    name,
                )
        }

        private fun splitSeed(data: JsonFields): Long {
            val seed = if ("split_seed" in data.names) data.long("split_seed") else 0
            if (seed < 0) {
                data.refuse("split_seed", "an integer of 0 or more", seed)
            }
            return seed
        }

        private fun labels(fields: JsonFields): List<String> {
            val labels = fields.texts("labels")
            val normal = labels.mapTo(HashSet()) { ClassNames.normalized(it) }
            if (labels.isEmpty() || normal.size != labels.size || "" in normal) {
                fields.refuse("labels", "names, none twice", labels)
            }
            return labels.map { ClassNames.normalized(it) }
        }

        private fun task(fields: JsonFields): Task {
            val name = fields.text("task")
            return Task.entries.find { it.manifestName == name }
                ?: fields.refuse("task", Task.entries.joinToString(" or ") { it.manifestName }, name)
        }

        private fun spareClasses(
            fields: JsonFields,
            task: Task,
            classes: Int,
            state: List<StateEntry>,
        ): Int {
            val spare = fields.int("spare_classes")
            val most = if (task == Task.CLASSIFICATION) Int.MAX_VALUE - classes else 0
            if (spare !in 0..most) {
                fields.refuse("spare_classes", "0 or more, and 0 unless the task is classification,", spare)
            }
            if (spare > 0) {
                val outputs = classes + spare
                val classifier = state.filter { it.isOfClassifier }
                val bias = classifier.find { it.name.endsWith(BIAS) }
                if (bias?.shape != listOf(outputs) || classifier.any { it.shape.lastOrNull() != outputs }) {
                    fields.refuse("state", "a classifier with $outputs outputs, including spare ones,", bias?.shape)
                }
            }
            return spare
        }

        private fun signatures(fields: JsonFields): Map<String, SignatureSpec> =
            fields.names.associateWith { name ->
                val signature = fields.fields(name)
                SignatureSpec(tensors(signature.fields("inputs")), tensors(signature.fields("outputs")))
            }

        private fun tensors(fields: JsonFields): Map<String, TensorSpec> =
            fields.names.associateWith { name ->
                val tensor = fields.fields(name)
                val type = tensor.text("dtype")
                TensorSpec(TensorType.entries.find { it.manifestName == type }, tensor.ints("shape"))
            }

        private fun state(fields: JsonFields): List<StateEntry> {
            var offset = 0
            return fields.objects("state").map {
                val entry = StateEntry(it.text("name"), it.ints("shape"), it.int("offset"), it.text("slot"))
                if (entry.offset != offset || entry.shape.any { size -> size < 1 }) {
                    it.refuse("offset", "$offset, without a gap,", "${entry.offset} of ${entry.shape}")
                }
                offset = addExact(offset, entry, it)
                entry
            }
        }

        private fun addExact(
            offset: Int,
            entry: StateEntry,
            fields: JsonFields,
        ): Int =
            try {
                Math.addExact(offset, entry.size)
            } catch (_: ArithmeticException) {
                fields.refuse("shape", "a state of fewer than 2^31 values", entry.shape)
            }
    }
}
