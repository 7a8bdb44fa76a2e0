package org.tinytl.natives

import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.atomic.AtomicLong

/** Numbers for objects, as the AAR's classes hold pointers. */
internal object Handles {
    private val objects = ConcurrentHashMap<Long, Any>()
    private val last = AtomicLong()

    fun add(value: Any): Long = last.incrementAndGet().also { objects[it] = value }

    inline fun <reified T> get(handle: Long): T =
        find(handle) as? T ?: throw IllegalArgumentException("Internal error: invalid handle $handle")

    fun find(handle: Long): Any? = objects[handle]

    fun remove(handle: Long): Any? = objects.remove(handle)
}
