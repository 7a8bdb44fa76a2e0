package org.tinytl

/** Reads the input of a model from its manifest. */
internal object ManifestInputs {
    private const val MOST_SIZES = 3
    private const val MOST_TEXT = 255
    private const val MOST_RATE = 1 shl 24
    private val types = mapOf(Tensors.IMAGE to "uint8", "features" to "int8", Tensors.ARRAY to "float32")
    private val ofPhotos = listOf("crop", "crop_area", "crop_aspect", "flip", "color")

    /**
     * Reads the input of a model of arrays.
     *
     * @return null for a model of images
     * @throws InputException if it is damaged, or a manifest of arrays has fields of photos
     */
    fun array(fields: JsonFields): ArrayInput? {
        if ("inputs" !in fields.names) {
            return null
        }
        val inputs = fields.fields("inputs")
        val name = inputs.names.singleOrNull()
        if (name !in types) {
            fields.refuse("inputs", "one of ${types.keys.joinToString()}", inputs.names)
        }
        val input = inputs.fields(checkNotNull(name))
        val array = input(input, name)
        if (name != Tensors.ARRAY) {
            return null
        }
        val data = fields.fields("data")
        for ((owner, names) in listOf(fields to listOf("input"), data to ofPhotos)) {
            names.find { it in owner.names }?.let { owner.refuse(it, "nothing, in a manifest of arrays,", "a value") }
        }
        return array
    }

    /**
     * Reads the input of a model of images.
     *
     * @throws InputException if it is damaged
     */
    fun photo(fields: JsonFields): PhotoInput {
        val input = fields.fields("input")
        val (height, width) = size(input)
        checkImage(fields, listOf(height, width, RgbImage.CHANNELS))
        return PhotoInput(height, width, centralFraction(input), augmentation(fields.fields("data")))
    }

    private fun checkImage(
        fields: JsonFields,
        expected: List<Int>,
    ) {
        val inputs = if ("inputs" in fields.names) fields.fields("inputs") else return
        val image = if (Tensors.IMAGE in inputs.names) inputs.fields(Tensors.IMAGE) else return
        val shape = image.ints("shape")
        if (shape != expected) {
            image.refuse("shape", "$expected, to match input.size,", shape)
        }
    }

    private fun input(
        input: JsonFields,
        name: String,
    ): ArrayInput {
        val type = input.text("dtype")
        if (type != types[name]) {
            input.refuse("dtype", types.getValue(name), type)
        }
        val shape = input.ints("shape")
        // Each product is below 2^62, since the previous product was below 2^31.
        val sizes = shape.runningFold(1L) { product, size -> if (product > Int.MAX_VALUE) product else product * size }
        if (shape.size !in 1..MOST_SIZES || shape.min() < 1 || sizes.last() > Int.MAX_VALUE) {
            input.refuse("shape", "1 to $MOST_SIZES sizes above 0", shape)
        }
        val meaning = input.text("meaning")
        if (meaning.length > MOST_TEXT || meaning.any { it.isISOControl() }) {
            input.refuse("meaning", "at most $MOST_TEXT visible characters", meaning)
        }
        val rate = if ("sample_rate" in input.names) input.int("sample_rate") else 0
        if (rate !in 0..(if (name == Tensors.ARRAY) MOST_RATE else 0)) {
            input.refuse("sample_rate", "0 to $MOST_RATE, for an array,", rate)
        }
        return ArrayInput(shape, meaning, rate)
    }

    private fun size(input: JsonFields): List<Int> {
        val size = input.ints("size")
        if (size.size != 2 || size.min() < 1) {
            input.refuse("size", "a height and a width", size)
        }
        return size
    }

    private fun centralFraction(input: JsonFields): Double {
        val fraction = input.double("central_fraction")
        if (fraction <= 0 || fraction > 1) {
            input.refuse("central_fraction", "a number above 0 and at most 1", fraction)
        }
        return fraction
    }

    private fun augmentation(data: JsonFields): Augmentation {
        val color = data.text("color")
        return Augmentation(
            crop = data.flag("crop"),
            cropArea = range(data, "crop_area"),
            cropAspect = range(data, "crop_aspect"),
            flip = data.flag("flip"),
            color =
                ColorChange.entries.find { it.manifestName == color }
                    ?: data.refuse("color", ColorChange.entries.joinToString(" or ") { it.manifestName }, color),
        )
    }

    private fun range(
        data: JsonFields,
        name: String,
    ): ClosedFloatingPointRange<Double> {
        val values = data.doubles(name)
        if (values.size != 2) {
            data.refuse(name, "two numbers", values)
        }
        return values[0]..values[1]
    }
}
