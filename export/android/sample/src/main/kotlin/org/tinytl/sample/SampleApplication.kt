package org.tinytl.sample

import android.app.Application
import org.tinytl.ModelAssets
import org.tinytl.TinyTlModel

/** Holds objects that outlive a screen. */
open class SampleApplication : Application() {
    internal val session: Session by lazy { Session(filesDir, ::openModel) }

    /** Opens the model that `tinytl export --target=android` wrote. */
    protected open fun openModel(): TinyTlModel = ModelAssets.open(assets, "model")
}
