package org.tinytl.natives

import org.bytedeco.javacpp.Loader
import org.bytedeco.tensorflowlite.global.tensorflowlite
import org.objectweb.asm.ClassReader
import org.objectweb.asm.ClassVisitor
import org.objectweb.asm.ClassWriter
import org.objectweb.asm.MethodVisitor
import org.objectweb.asm.Opcodes
import org.objectweb.asm.Type
import org.tensorflow.lite.DataType
import java.lang.invoke.MethodHandles
import java.util.logging.Level
import java.util.logging.Logger

/**
 * Lets the classes of TensorFlow Lite's AAR run on the JVM.
 *
 * The AAR's native library is Android's. So each `native` method of its classes is turned into a call of the static
 * method of the same name in `org.tinytl.natives`, which does with TensorFlow Lite for Linux what the AAR's C++ does;
 * all the rest of the classes stays as it is.
 */
object NativeBridge {
    private const val PACKAGE = "org/tensorflow/lite/"
    private val classes =
        listOf(
            "TensorFlowLite",
            "TensorImpl",
            "NativeSignatureRunnerWrapper",
            "NativeInterpreterWrapper",
            "NativeInterpreterWrapperExperimental",
        )
    private val logger = Logger.getLogger("org.tensorflow.lite.TensorFlowLite")
    private val installed by lazy {
        logger.level = Level.WARNING // it tells of each library that it does not find
        Loader.load(tensorflowlite::class.java)
        val lookup = MethodHandles.privateLookupIn(DataType::class.java, MethodHandles.lookup())
        classes.forEach { lookup.defineClass(bridged(it)) }
    }

    /** Has to be called before any class of the AAR with native methods is used. */
    fun install() = installed

    private fun bridged(name: String): ByteArray {
        val reader = ClassReader(checkNotNull(javaClass.classLoader.getResourceAsStream("$PACKAGE$name.class")))
        val writer = ClassWriter(ClassWriter.COMPUTE_MAXS)
        reader.accept(Bridge(writer, "org/tinytl/natives/${name}Natives"), 0)
        return writer.toByteArray()
    }

    private class Bridge(
        writer: ClassWriter,
        private val target: String,
    ) : ClassVisitor(Opcodes.ASM9, writer) {
        override fun visitMethod(
            access: Int,
            name: String,
            descriptor: String,
            signature: String?,
            exceptions: Array<String>?,
        ): MethodVisitor? {
            if (access and Opcodes.ACC_NATIVE == 0) {
                return super.visitMethod(access, name, descriptor, signature, exceptions)
            }
            check(access and Opcodes.ACC_STATIC != 0) { "$name is not static" }
            val plain = access and Opcodes.ACC_NATIVE.inv()
            val method = super.visitMethod(plain, name, descriptor, signature, exceptions)
            method.visitCode()
            var slot = 0
            for (argument in Type.getArgumentTypes(descriptor)) {
                method.visitVarInsn(argument.getOpcode(Opcodes.ILOAD), slot)
                slot += argument.size
            }
            method.visitMethodInsn(Opcodes.INVOKESTATIC, target, name, descriptor, false)
            method.visitInsn(Type.getReturnType(descriptor).getOpcode(Opcodes.IRETURN))
            method.visitMaxs(0, 0)
            method.visitEnd()
            return null
        }
    }
}
