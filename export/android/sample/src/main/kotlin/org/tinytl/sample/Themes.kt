package org.tinytl.sample

import android.content.res.Configuration

/** The framework's themes; themes that follow day and night automatically need a later version than Android 7. */
internal object Themes {
    /** The theme for a device that is set up so. */
    fun of(configuration: Configuration): Int {
        val night = configuration.uiMode and Configuration.UI_MODE_NIGHT_MASK
        val isNight = night == Configuration.UI_MODE_NIGHT_YES
        return if (isNight) android.R.style.Theme_DeviceDefault else android.R.style.Theme_DeviceDefault_Light
    }
}
