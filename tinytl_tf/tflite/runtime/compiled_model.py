"""A `.tflite` run by LiteRT's CompiledModel.

The options of XNNPACK that save memory exist in Kotlin too, by the same names: `CompiledModel.CpuOptions` has
`xnnPackFlags` and `xnnPackWeightCachePath` (a file there). The Interpreter has them in neither language.
"""

import sys

from ai_edge_litert import compiled_model
from ai_edge_litert.cpu_kernel_mode import CpuKernelMode
from ai_edge_litert.options import CpuOptions, Options

from tinytl_tf.tflite.runtime import interpreter
from tinytl_tf.tflite.runtime.compiled_signature import CompiledSignature

__all__ = ["load"]

# Flags of xnnpack_delegate.h: int8 and uint8 operators, as by default, and TRANSIENT_INDIRECTION_BUFFER: a convolution
# makes its table of pointers when it runs, in memory that all share, where it would keep its own of up to 0.9 MB.
_XNNPACK_FLAGS = 0x01 | 0x02 | 0x20
# With a cache, all signatures share one packed copy of a kernel. It is a file, or by this name a memfd of Linux.
_WEIGHT_CACHE = ":memory" if sys.platform == "linux" else ""


def load(path: str, num_threads: int, xnnpack: bool) -> dict[str, CompiledSignature]:
    """Loads a file; returns its signatures by name. See `load_signatures`."""
    # A CompiledModel does not check a file: a damaged one would end the process. The Interpreter does.
    interpreter.load(path, num_threads, xnnpack=False)
    options = CpuOptions(
        num_threads=num_threads,
        kernel_mode=CpuKernelMode.XNNPACK if xnnpack else CpuKernelMode.BUILTIN,
        xnnpack_flags=_XNNPACK_FLAGS if xnnpack else None,
        xnnpack_weight_cache_path=_WEIGHT_CACHE if xnnpack else "",
    )
    model = compiled_model.CompiledModel.from_file(path, options=Options(cpu_options=options))
    return {name: CompiledSignature(model, name) for name in model.get_signature_list()}
