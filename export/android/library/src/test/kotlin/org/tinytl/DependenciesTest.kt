package org.tinytl

import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.objectweb.asm.ClassReader
import org.objectweb.asm.ClassVisitor
import org.objectweb.asm.ClassWriter
import org.objectweb.asm.Opcodes
import org.objectweb.asm.commons.ClassRemapper
import org.objectweb.asm.commons.Remapper
import java.io.File

/** What the compiled classes of the library refer to. */
class DependenciesTest {
    private val classes =
        File(checkNotNull(System.getProperty("tinytl.classes")))
            .walk()
            .filter { it.extension == "class" }
            .associate { it.name to references(it.readBytes()) }

    @Test
    fun `no class refers to anything but Java, Kotlin, Android, TensorFlow Lite and the library`() {
        assertTrue(classes.size > 20)
        val foreign = classes.mapValues { (_, names) -> names.filterNot { name -> allowed.any(name::startsWith) } }
        assertEquals(emptyMap<String, List<String>>(), foreign.filterValues { it.isNotEmpty() })
    }

    @Test
    fun `no class uses what Android 7 lacks or what finds classes by name`() {
        val bad = classes.mapValues { (_, names) -> names.filter { name -> refused.any(name::startsWith) } }
        assertEquals(emptyMap<String, List<String>>(), bad.filterValues { it.isNotEmpty() })
    }

    @Test
    fun `the framework is seen`() {
        val all = classes.values.flatten()
        val used = listOf("org/json/JSONObject", "org/tensorflow/lite/Interpreter", "kotlin/jvm/internal/Intrinsics")
        used.forEach { assertTrue(it, it in all) }
    }

    private fun references(content: ByteArray): Set<String> {
        val names = sortedSetOf<String>()
        val remapper =
            object : Remapper() {
                override fun map(name: String): String = name.also { names += it }
            }
        val nothing = object : ClassVisitor(Opcodes.ASM9, ClassWriter(0)) {}
        ClassReader(content).accept(ClassRemapper(nothing, remapper), 0)
        return names
    }

    private companion object {
        // Kotlin's compiler marks what may be null with annotations of org/jetbrains, which nothing loads.
        val allowed =
            listOf(
                "java/",
                "kotlin/",
                "org/jetbrains/annotations/",
                "android/",
                "org/json/",
                "org/tensorflow/lite/",
                "org/tinytl/",
            )

        val refused = listOf("java/nio/file/", "java/lang/reflect/", "kotlin/reflect/", "java/time/")
    }
}
