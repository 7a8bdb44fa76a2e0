package org.tinytl.natives

/** What `TensorFlowLite` calls to see whether its library is there. */
object TensorFlowLiteNatives {
    @JvmStatic
    fun nativeDoNothing() = Unit
}
