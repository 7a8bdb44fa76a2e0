package org.tinytl

import android.app.Application
import android.app.job.JobInfo
import android.app.job.JobParameters
import android.app.job.JobScheduler
import android.os.PersistableBundle
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.shadow.api.Shadow
import org.robolectric.util.ReflectionHelpers
import org.tinytl.natives.NativeBridge
import java.io.File
import java.util.Collections
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit

/** Jobs that train the golden model, are stopped, and go on. */
@RunWith(ModelTestRunner::class)
@Config(sdk = [34], manifest = Config.NONE)
class TrainingJobTest {
    @get:Rule
    val folder = TemporaryFolder()

    private val application: Application = RuntimeEnvironment.getApplication()
    private val scheduler = application.getSystemService(JobScheduler::class.java)
    private val parameters = Shadow.newInstanceOf(JobParameters::class.java)

    @Before
    fun begin() {
        NativeBridge.install()
        GoldenJob.state = File(folder.newFolder(), "mine.tinytl")
        GoldenJob.onStep = { }
        GoldenJob.epochs = EPOCHS
    }

    @Test
    fun `a job is kept over restarts, and waits for what the app asks for`() {
        TrainingJob.schedule(application, GoldenJob::class.java, ID)
        val job = job()
        assertTrue(job.isPersisted)
        assertTrue(job.isRequireCharging)
        assertFalse(job.isRequireDeviceIdle)
        assertEquals(GoldenJob::class.java.name, job.service.className)
        assertEquals(JobInfo.BACKOFF_POLICY_LINEAR, job.backoffPolicy)
        TrainingJob.schedule(application, GoldenJob::class.java, ID, charging = false, idle = true)
        assertFalse(job().isRequireCharging)
        assertTrue(job().isRequireDeviceIdle)
        TrainingJob.schedule(application, GoldenJob::class.java, ID, charging = false)
        assertTrue(job().isPersisted)
        assertFalse(job().isRequireDeviceIdle)
        TrainingJob.cancel(application, ID)
        assertEquals(emptyList<JobInfo>(), scheduler.allPendingJobs)
    }

    @Test
    fun `a job that the system refuses is named`() {
        shadowOf(scheduler).failOnJob(ID)
        refused("GoldenJob", "RECEIVE_BOOT_COMPLETED") {
            TrainingJob.schedule(application, GoldenJob::class.java, ID)
        }
    }

    @Test
    fun `a job trains to its end and is finished`() {
        val job = started()
        job.await()
        assertEquals(GoldenJob.steps, checkNotNull(job.result).steps)
        assertTrue(shadowOf(job).isJobFinished)
        assertFalse(shadowOf(job).isRescheduleNeeded)
        assertTrue(GoldenJob.state.exists())
    }

    @Test
    fun `a job that is stopped goes on to the same state, bit for bit`() {
        val expected = whole()
        val file = fresh()
        lateinit var job: GoldenJob
        val seen = ArrayList<Int>()
        GoldenJob.onStep = { step ->
            seen += step
            if (step in listOf(2, 5)) {
                assertTrue(job.onStopJob(parameters))
            }
        }
        repeat(2) {
            job = created()
            job.onStartJob(parameters)
            job.await()
            assertEquals(null, job.result)
            assertFalse(shadowOf(job).isJobFinished)
        }
        job = started()
        job.await()
        assertEquals((1..GoldenJob.steps).toList(), seen)
        assertArrayEquals(expected, file.readBytes())
    }

    @Test
    fun `a job whose process died goes on from what is on the disk`() {
        val expected = whole()
        val file = fresh()
        val copy = folder.newFolder()
        GoldenJob.onStep = { step ->
            if (step == 3) {
                checkNotNull(file.parentFile).copyRecursively(copy, overwrite = true)
            }
        }
        started().await()
        assertTrue(copy.list().orEmpty().contains("mine.tinytl.progress.json"))
        GoldenJob.state = File(copy, file.name)
        val seen = ArrayList<Int>()
        GoldenJob.onStep = { seen += it }
        started().await()
        assertEquals((3..GoldenJob.steps).toList(), seen)
        assertArrayEquals(expected, GoldenJob.state.readBytes())
    }

    @Test
    fun `a job whose process died after its last save does not train again`() {
        TrainingJob.schedule(application, GoldenJob::class.java, ID)
        val asked = startedBy(job().extras)
        val first = started(asked).also { it.await() }
        val content = GoldenJob.state.readBytes()
        val seen = ArrayList<Int>()
        GoldenJob.onStep = { seen += it }
        val again = started(asked).also { it.await() }
        assertEquals(checkNotNull(first.result), again.result)
        assertEquals(emptyList<Int>(), seen)
        assertArrayEquals(content, GoldenJob.state.readBytes())
        val saved = StateFile.read(GoldenJob.state, again.fingerprint, again.stateAtEnd.size)
        assertArrayEquals(saved, again.stateAtEnd, 0f)
        assertTrue(shadowOf(again).isJobFinished)

        TrainingJob.schedule(application, GoldenJob::class.java, ID) // the user wants more
        started(startedBy(job().extras)).await()
        assertEquals((1..GoldenJob.steps).toList(), seen)
    }

    @Test
    fun `a job trains again when what says that its run has ended is not of this run`() {
        TrainingJob.schedule(application, GoldenJob::class.java, ID)
        val asked = startedBy(job().extras)
        started(asked).await()
        val mark = RunFiles(GoldenJob.state).finished
        val content = mark.readText()
        val edited = content.replaceFirst("\"accuracy\":0", "\"accuracy\":1")
        assertTrue(edited != content)
        for (damaged in listOf("", "{}", content.take(content.length / 2), edited)) {
            val warnings = assertTrains(asked) { mark.writeText(damaged) }
            assertTrue("$warnings", warnings.any { "is damaged" in it && "the run starts again" in it && '\n' !in it })
        }
        assertTrains(asked) { GoldenJob.state.delete() }
        assertTrains(asked) { GoldenJob.epochs = EPOCHS + 1 }
    }

    private fun assertTrains(
        asked: JobParameters,
        change: () -> Unit,
    ): List<String> {
        change()
        GoldenJob.warnings.clear()
        val seen = ArrayList<Int>()
        GoldenJob.onStep = { seen += it }
        started(asked).await()
        assertEquals((1..GoldenJob.steps).toList(), seen)
        GoldenJob.onStep = { }
        return GoldenJob.warnings.toList()
    }

    @Test
    fun `a job that is stopped before it starts trains nothing`() {
        val blocker = CountDownLatch(1)
        GoldenJob.onStep = { blocker.await(1, TimeUnit.MINUTES) }
        val first = started()
        val second = started()
        second.onStopJob(parameters)
        blocker.countDown()
        first.await()
        second.await()
        assertEquals(null, second.result)
        assertFalse(shadowOf(second).isJobFinished)
    }

    @Test
    fun `a job that is stopped while its trainer is made trains nothing`() {
        val seen = ArrayList<Int>()
        GoldenJob.onStep = { seen += it }
        GoldenJob.onCreate = { it.onStopJob(parameters) }
        val job = started()
        job.await()
        GoldenJob.onCreate = { }
        assertEquals(null, job.result)
        assertEquals(emptyList<Int>(), seen)
        assertFalse(shadowOf(job).isJobFinished)
    }

    @Test
    fun `a run that cannot go on ends the job and says why`() {
        lateinit var job: GoldenJob
        GoldenJob.onStep = { if (it == 2) job.onStopJob(parameters) }
        job = started { job = it }
        job.await()
        GoldenJob.epochs = EPOCHS + 1
        val other = started()
        other.await()
        assertTrue("${other.error}", "epochs was" in other.error?.message.orEmpty())
        assertTrue(shadowOf(other).isJobFinished)
        assertFalse(shadowOf(other).isRescheduleNeeded)
    }

    private fun job() = scheduler.allPendingJobs.single()

    private fun created(): GoldenJob = Robolectric.buildService(GoldenJob::class.java).create().get()

    private fun started(
        asked: JobParameters = parameters,
        before: (GoldenJob) -> Unit = {},
    ): GoldenJob {
        val job = created()
        before(job)
        assertTrue(job.onStartJob(asked))
        return job
    }

    private fun startedBy(extras: PersistableBundle): JobParameters =
        Shadow.newInstanceOf(JobParameters::class.java).also { ReflectionHelpers.setField(it, "extras", extras) }

    private fun fresh(): File = File(folder.newFolder(), "mine.tinytl").also { GoldenJob.state = it }

    private fun whole(): ByteArray {
        val file = fresh()
        started().await()
        return file.readBytes()
    }

    /** Trains on the golden photos; what it shares with a test is static, because the system makes services. */
    class GoldenJob : TrainingJob() {
        private val end = CountDownLatch(1)
        private var model: TinyTlModel? = null

        @Volatile
        var result: TrainerResult? = null

        @Volatile
        var error: TinyTlException? = null

        lateinit var stateAtEnd: FloatArray
        lateinit var fingerprint: ByteArray

        override fun createTrainer(parameters: JobParameters): Trainer {
            val opened = Golden.open().also { model = it }
            onCreate(this)
            val listener =
                object : TrainerListener {
                    override fun onStep(
                        step: Int,
                        totalSteps: Int,
                        result: TrainResult,
                    ) {
                        steps = totalSteps
                        onStep(step)
                    }

                    override fun onWarning(message: String) {
                        warnings += message
                    }
                }
            val settings = TrainerSettings(epochs, 2e-3, seed = 3, augmentation = Augmentation(), saveEvery = 2)
            return Trainer(opened, examples, examples.take(2), settings, state, listener)
        }

        override fun onTrained(result: TrainerResult) {
            this.result = result
        }

        override fun onFailed(error: TinyTlException) {
            this.error = error
        }

        override fun release() {
            model?.let {
                stateAtEnd = it.state()
                fingerprint = it.fingerprint
                it.close()
            }
            end.countDown()
        }

        /** Waits until the thread that trains is through with this job, and with what it says to the system. */
        fun await() {
            assertTrue(end.await(2, TimeUnit.MINUTES) || result != null)
            repeat(PATIENCE) {
                if (!shadowOf(this).isJobFinished) {
                    Thread.sleep(1)
                }
            }
        }

        companion object {
            lateinit var state: File
            var onStep: (Int) -> Unit = { }
            var onCreate: (GoldenJob) -> Unit = { }
            var epochs = EPOCHS
            val warnings: MutableList<String> = Collections.synchronizedList(ArrayList())

            @Volatile
            var steps = 0

            private val examples =
                Golden.json("pixels.json").getJSONArray("photos").objects().filter { !it.isNull("decoded") }.map {
                    val (height, width) = it.getJSONArray("size").ints()
                    val image = RgbImage(width, height, Golden.file(it.getString("decoded")).readBytes())
                    val source =
                        object : ImageSource {
                            override val name = it.getString("photo")

                            override fun read(shortSide: Int) = Pixels.shrink(image, shortSide)
                        }
                    Example(source, it.getString("photo").substringBefore("/"))
                }
        }
    }

    private companion object {
        const val ID = 7
        const val EPOCHS = 8
        const val PATIENCE = 100
    }
}
