package org.tinytl

import org.junit.runners.model.FrameworkMethod
import org.robolectric.RobolectricTestRunner
import org.robolectric.internal.bytecode.InstrumentationConfiguration

/** Runs tests that use Android and a model: a native library can be loaded by one class loader only. */
class ModelTestRunner(
    testClass: Class<*>,
) : RobolectricTestRunner(testClass) {
    override fun createClassLoaderConfig(method: FrameworkMethod): InstrumentationConfiguration =
        InstrumentationConfiguration
            .Builder(super.createClassLoaderConfig(method))
            .doNotAcquirePackage("org.bytedeco.")
            .doNotAcquirePackage("org.tensorflow.lite.")
            .doNotAcquirePackage("org.tinytl.natives.")
            .build()
}
