package org.tinytl

import org.json.JSONObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import kotlin.math.abs

/** What a run draws at random, against values of a second implementation of `docs/formats.md`. */
class TrainingPlanTest {
    private val manifest = Manifest.read(Golden.file("model_float32.manifest.json"))
    private val sizes = listOf(160 to 245, 160 to 160, 300 to 160, 64 to 64, 33 to 57) // height, width
    private val settings =
        TrainerSettings(
            epochs = 2,
            learningRate = 4e-3,
            schedule = LearningRateSchedule.COSINE,
            seed = 7,
            augmentation = Augmentation(color = ColorChange.TORCH),
        )

    @Test
    fun `the golden plans are those of this client`() {
        val plans = Golden.json("plan.json").getJSONArray("plans").objects()
        assertTrue("${plans.size}", plans.size >= 8)
        for (golden in plans) {
            val what = golden.getString("shows")
            val sizes =
                golden.getJSONArray("sizes").let { list ->
                    List(list.length()) { list.getJSONArray(it).ints() }
                }
            val settings =
                TrainerSettings(
                    epochs = golden.getInt("epochs"),
                    learningRate = golden.getDouble("learning_rate"),
                    schedule = LearningRateSchedule.entries.single { it.manifestName == golden.getString("schedule") },
                    seed = golden.getLong("seed"),
                    augmentation = augmentation(golden.getJSONObject("augmentation")),
                )
            val plan = TrainingPlan(sizes.size, manifest, settings, golden.getInt("batch_size"))
            val steps = golden.getJSONArray("steps").objects()
            assertEquals(what, steps.size, plan.totalSteps)
            steps.forEachIndexed { number, step ->
                val rate = step.getDouble("rate")
                assertEquals(what, rate, plan.rate(number), 1e-12 * rate)
                val epoch = step.getInt("epoch")
                val photos = step.getJSONArray("photos").objects()
                val places = plan.places(number, plan.order(epoch))
                assertEquals(what, photos.map { it.getInt("photo") }, places.map { it.photo })
                for ((place, photo) in places.zip(photos)) {
                    val (height, width) = sizes[place.photo]
                    assertChange(photo, plan.change(epoch, place, width, height, CENTRAL))
                }
            }
        }
    }

    private fun augmentation(golden: JSONObject): Augmentation {
        val range = { name: String -> golden.getJSONArray(name).let { it.getDouble(0)..it.getDouble(1) } }
        return Augmentation(
            golden.getBoolean("crop"),
            range("crop_area"),
            range("crop_aspect"),
            golden.getBoolean("flip"),
            ColorChange.entries.single { it.manifestName == golden.getString("color") },
        )
    }

    private fun assertChange(
        golden: JSONObject,
        change: PhotoChange,
    ) {
        val edges = golden.optJSONArray("box")?.let { box -> List(4) { box.getDouble(it) } }
        val box = edges?.let { (left, top, right, bottom) -> CropBox(left, top, right, bottom) } ?: CENTRAL
        assertEquals("$golden", box, change.box)
        assertEquals("$golden", golden.getBoolean("flip"), change.isMirrored)
        val colors = golden.getJSONArray("colors").let { list -> List(list.length()) { list.getJSONArray(it) } }
        assertEquals("$golden", colors.map { it.getString(0) }, change.colors.map { it.first.name.lowercase() })
        for ((color, expected) in change.colors.zip(colors)) {
            assertEquals("$golden", expected.getDouble(1), color.second, 1e-12 * abs(expected.getDouble(1)))
        }
    }

    @Test
    fun `order, boxes, mirrors, colors and rates are those of other clients`() {
        val plan = TrainingPlan(sizes.size, manifest, settings, batchSize = 2)
        assertEquals(listOf(2, 4), listOf(plan.stepsPerEpoch, plan.totalSteps))
        val rates = List(4) { plan.rate(it) }.toDoubleArray()
        assertArrayEquals(doubleArrayOf(0.004, 0.003414213562373095, 0.002, 0.0005857864376269051), rates, 1e-15)
        val photos = List(4) { step -> plan.places(step, plan.order(step / 2)).map { it.photo } }
        assertEquals(listOf(listOf(1, 3), listOf(2, 4), listOf(2, 4), listOf(1, 3)), photos)
        val first = change(plan, 0, TrainingPlan.Place(1, 0))
        assertEquals(CropBox(62.0, 73.0, 149.0, 147.0), first.box)
        assertEquals(false, first.isMirrored)
        val expected =
            listOf(
                ColorKind.HUE to 0.04812349544549277,
                ColorKind.SATURATION to 0.12300567297183818,
                ColorKind.CONTRAST to 0.37487862373435665,
                ColorKind.BRIGHTNESS to -0.11228218657354455,
            )
        assertColors(expected, first.colors)
        val last = change(plan, 1, TrainingPlan.Place(2, 0))
        assertEquals(CropBox(31.0, 143.0, 146.0, 248.0), last.box)
        assertEquals(true, last.isMirrored)
        assertEquals(ColorKind.CONTRAST, last.colors.first().first)
    }

    @Test
    fun `fewer photos than a batch are repeated with other changes`() {
        val small = listOf(30 to 90, 20 to 20, 50 to 20)
        val augmentation = Augmentation(cropArea = 0.9..1.0, color = ColorChange.TF)
        val plan =
            TrainingPlan(
                small.size,
                manifest,
                settings.copy(seed = 3, learningRate = 0.01, augmentation = augmentation),
                batchSize = 4,
            )
        assertEquals(1, plan.stepsPerEpoch)
        val places = plan.places(0, plan.order(0))
        assertEquals(listOf(0 to 0, 1 to 0, 2 to 0, 0 to 1), places.map { it.photo to it.copy })
        assertEquals(listOf(1, 0, 2, 1), plan.places(1, plan.order(1)).map { it.photo })
        // The part of a photo this wide never fits: it is the largest central one.
        assertEquals(CropBox(25.0, 0.0, 65.0, 30.0), change(plan, 0, places[0], small).box)
        val both = listOf(places[0], places[3]).map { change(plan, 0, it, small).colors }
        assertColors(
            listOf(ColorKind.BRIGHTNESS to -0.04281951555058344, ColorKind.SATURATION to 0.43010245073352416),
            both[0],
        )
        assertColors(
            listOf(ColorKind.SATURATION to 0.2955230713049861, ColorKind.BRIGHTNESS to -0.10461862117376897),
            both[1],
        )
    }

    @Test
    fun `photos that do not fill a batch are others in each epoch`() {
        val plan = TrainingPlan(9, manifest, settings.copy(epochs = 20), batchSize = 4)
        assertEquals(2, plan.stepsPerEpoch)
        val leftOut =
            (0 until 20).map { epoch ->
                val order = plan.order(epoch)
                val taken = (0..1).flatMap { step -> plan.places(2 * epoch + step, order).map { it.photo } }
                assertEquals(8, taken.toSet().size)
                ((0..8).toSet() - taken.toSet()).single()
            }
        assertTrue("$leftOut", leftOut.toSet().size > 5)
    }

    @Test
    fun `each seed, epoch and photo has changes of its own`() {
        val plan = TrainingPlan(5, manifest, settings)
        val other = TrainingPlan(5, manifest, settings.copy(seed = 8))
        val place = TrainingPlan.Place(3, 0)
        val changes =
            listOf(
                change(plan, 0, place),
                change(plan, 1, place),
                change(plan, 0, TrainingPlan.Place(3, 1)),
                change(other, 0, place),
            )
        assertEquals(changes.size, changes.toSet().size)
        assertEquals(changes[0], change(plan, 0, place))
        assertNotEquals(plan.order(0).toList(), other.order(0).toList())
    }

    @Test
    fun `without a crop the part of evaluation is taken, and nothing is drawn for it`() {
        val settings = settings.copy(augmentation = Augmentation(crop = false, flip = false, color = ColorChange.NONE))
        val plan = TrainingPlan(5, manifest, settings)
        val change = change(plan, 0, TrainingPlan.Place(0, 0))
        assertEquals(PhotoChange(CENTRAL, false, emptyList()), change)
        val mirrored = settings.copy(augmentation = Augmentation(crop = false))
        val isMirrored =
            (0L until 2000).count {
                change(TrainingPlan(5, manifest, mirrored.copy(seed = it)), 0, TrainingPlan.Place(0, 0)).isMirrored
            }
        assertEquals(1000.0, isMirrored.toDouble(), 100.0)
        assertEquals(
            RandomStream(7, 0, 1).unit() < 0.5,
            change(TrainingPlan(5, manifest, mirrored), 0, TrainingPlan.Place(0, 0)).isMirrored,
        )
    }

    @Test
    fun `what the settings leave out is the manifest's`() {
        val text = Golden.file("model_float32.manifest.json").readText()
        val constant =
            Manifest.parse(
                text.replace("\"spare_classes\"", "\"schedule\": \"constant\", \"spare_classes\""),
            )
        val plan = TrainingPlan(5, constant, TrainerSettings(epochs = 2))
        assertEquals(LearningRateSchedule.CONSTANT, plan.schedule)
        assertEquals(constant.learningRate, plan.rate(1), 0.0)
        assertEquals(constant.augmentation, plan.augmentation)
        assertEquals(LearningRateSchedule.COSINE, TrainingPlan(5, manifest, TrainerSettings()).schedule)
        val chosen = TrainingPlan(5, constant, TrainerSettings(epochs = 2, schedule = LearningRateSchedule.COSINE))
        assertTrue(chosen.rate(1) < chosen.rate(0))
    }

    @Test
    fun `more steps than can be counted are refused`() {
        refused("2^31 steps", "fewer epochs") { TrainingPlan(100, manifest, settings.copy(epochs = Int.MAX_VALUE)) }
    }

    private fun change(
        plan: TrainingPlan,
        epoch: Int,
        place: TrainingPlan.Place,
        sizes: List<Pair<Int, Int>> = this.sizes,
    ): PhotoChange {
        val (height, width) = sizes[place.photo]
        return plan.change(epoch, place, width, height, CENTRAL)
    }

    private fun assertColors(
        expected: List<Pair<ColorKind, Double>>,
        actual: List<Pair<ColorKind, Double>>,
    ) {
        assertEquals(expected.map { it.first }, actual.map { it.first })
        expected.indices.forEach { assertEquals(expected[it].second, actual[it].second, 1e-13) }
    }

    private companion object {
        val CENTRAL = CropBox(1.0, 2.0, 3.0, 4.0)
    }
}
