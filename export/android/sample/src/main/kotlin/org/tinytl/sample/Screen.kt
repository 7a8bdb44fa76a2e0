package org.tinytl.sample

import android.app.Activity
import android.view.View
import android.view.ViewGroup
import android.widget.Button
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.ProgressBar
import android.widget.ScrollView
import android.widget.TextView
import org.tinytl.TinyTlModel

/** The views, created in code; [show] sets their content. */
internal class Screen(
    private val activity: Activity,
    private val actions: ScreenActions,
) {
    /** The activity's content. */
    val root = ScrollView(activity)

    private val column = LinearLayout(activity)
    private val rows = LinearLayout(activity)
    private val name = EditText(activity)
    private val memory = TextView(activity)
    private val live = TextView(activity)
    private val figures = TextView(activity)
    private val message = TextView(activity)
    private val bar = ProgressBar(activity, null, android.R.attr.progressBarStyleHorizontal)
    private val whenIdle = ArrayList<View>()
    private val whenTraining = ArrayList<View>()
    private var shown: List<PhotoClass>? = null

    init {
        val space = (SPACE * activity.resources.displayMetrics.density).toInt()
        column.orientation = LinearLayout.VERTICAL
        column.setPadding(space, space, space, space)
        rows.orientation = LinearLayout.VERTICAL
        root.addView(column)
        name.hint = Strings.CLASS_NAME
        name.contentDescription = Strings.CLASS_NAME
        name.setSingleLine()
        name.id = NAME_ID // so that the framework keeps the text after a rotation
        bar.contentDescription = Strings.PROGRESS
        message.accessibilityLiveRegion = View.ACCESSIBILITY_LIVE_REGION_POLITE
        column.addView(message)
        column.addView(row(name, button(Strings.ADD_CLASS, whenIdle, action = ::addClass)))
        column.addView(rows)
        column.addView(memory)
        column.addView(
            row(
                button(Strings.TRAIN, whenIdle, action = actions.train),
                button(Strings.STOP, whenTraining, action = actions.stop),
                button(Strings.TRAIN_LATER, whenIdle, action = actions.trainLater),
            ),
        )
        column.addView(bar)
        column.addView(live)
        column.addView(figures)
        column.addView(button(Strings.CLASSIFY_PICK, whenIdle) { actions.pick(MainActivity.CLASSIFY) })
        column.addView(button(Strings.CLASSIFY_TAKE, whenIdle) { actions.take(MainActivity.CLASSIFY) })
        column.addView(button(Strings.CLASSIFY_LIVE, whenIdle, action = actions.live))
        column.addView(
            row(
                button(Strings.SAVE, whenIdle, action = actions.save),
                button(Strings.RESTORE, whenIdle, action = actions.restore),
                button(Strings.RESET_MODEL, whenIdle, action = actions.reset),
                button(Strings.SHARE, whenIdle, action = actions.share),
            ),
        )
    }

    /** Shows a status. */
    fun show(
        status: Status,
        classes: List<PhotoClass>,
        model: TinyTlModel?,
    ) {
        if (classes != shown) {
            showClasses(classes)
        }
        message.text = status.message
        memory.text = model?.let { Strings.memory(it.plannedTrainingBytes) }.orEmpty()
        bar.max = status.totalSteps
        bar.progress = status.step
        live.text = if (status.totalSteps > 0) Strings.live(status.step, status.totalSteps, status.accuracy) else ""
        figures.text = status.figures
        setEnabled(whenIdle, !status.isBusy && model != null)
        setEnabled(whenTraining, status.isTraining)
    }

    /** Shows a message until the next message. */
    fun showMessage(text: String) {
        message.text = text
    }

    private fun addClass() {
        actions.addClass(name.text.toString())
        name.text.clear()
    }

    private fun showClasses(classes: List<PhotoClass>) {
        whenIdle.removeAll { it.parent?.parent === rows }
        rows.removeAllViews()
        classes.forEachIndexed { index, photoClass ->
            val title = TextView(activity)
            title.text = Strings.classRow(photoClass.name, photoClass.photos.size)
            val pick = button(Strings.PICK, whenIdle, Strings.pick(photoClass.name)) { actions.pick(index) }
            val take = button(Strings.TAKE, whenIdle, Strings.take(photoClass.name)) { actions.take(index) }
            rows.addView(row(title, pick, take))
        }
        shown = classes
    }

    private fun button(
        text: String,
        group: MutableList<View>,
        description: String = text,
        action: () -> Unit,
    ): Button {
        val button = Button(activity)
        button.text = text
        button.contentDescription = description
        button.setOnClickListener { action() }
        group += button
        return button
    }

    private fun row(vararg views: View): LinearLayout {
        val row = LinearLayout(activity)
        views.forEach { row.addView(it, LinearLayout.LayoutParams(0, ViewGroup.LayoutParams.WRAP_CONTENT, 1f)) }
        return row
    }

    private fun setEnabled(
        views: List<View>,
        isEnabled: Boolean,
    ) {
        views.forEach { it.isEnabled = isEnabled }
    }

    private companion object {
        const val SPACE = 16
        const val NAME_ID = 1
    }
}
