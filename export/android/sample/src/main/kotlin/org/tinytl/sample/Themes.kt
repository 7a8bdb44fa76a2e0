package org.tinytl.sample

import android.content.res.Configuration

/** The framework's themes. Themes that follow day and night automatically need a later version than Android 7. */
internal object Themes {
    /** Returns the theme for the day or night mode of the device. */
    fun of(configuration: Configuration): Int {
        val night = configuration.uiMode and Configuration.UI_MODE_NIGHT_MASK
        val isNight = night == Configuration.UI_MODE_NIGHT_YES
        return if (isNight) android.R.style.Theme_DeviceDefault else android.R.style.Theme_DeviceDefault_Light
    }
}
