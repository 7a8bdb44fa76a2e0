"""Runs the int8 prefix of a network: in this process, or as a separate program that reads and writes pipes.

A Coral board with Mendel Linux has Python 3.7 and a runtime that drives the accelerator but cannot train. Therefore,
this file needs only numpy and one of the TensorFlow Lite runtimes, and is written for Python 3.7: copy it to the board.

    python3 prefix_runner.py prefix_int8_edgetpu.tflite libedgetpu.so.1 < pixels > features

It first writes one line of JSON that describes the input and the output. Then, for each image on standard input, uint8
pixels [H,W,3], it writes the int8 features to standard output, until the input ends.
"""

import ctypes
import importlib
import json
import os
import sys

import numpy as np

__all__ = ["PrefixRunner"]

RUNTIMES = ("tflite_runtime.interpreter", "ai_edge_litert.interpreter", "tensorflow.lite.python.interpreter")
TURN = 128  # an int8 pixel is the uint8 pixel minus this: the same byte with its highest bit flipped


class PrefixRunner:
    """Runs a file with one int8 image as its input and one int8 tensor as its output.

    Compiled files have no signatures, so the details of the tensors are used instead.

    Args:
        path: The `.tflite`, compiled or not.
        delegate: Name of the accelerator's library, for example `libedgetpu.so.1`; empty for the CPU.
        num_threads: Number of threads for the CPU's kernels.

    Attributes:
        input: `shape` (without the batch), `scale` and `zero_point` of the image.
        output: The same for the result.

    Raises:
        ValueError: If the file or the library cannot be loaded; or if the file does not have one int8 input and one
            int8 output.

    Example:
        >>> runner = PrefixRunner("prefix_int8.tflite")  # doctest: +SKIP
        >>> runner(image).shape  # uint8 [H, W, 3]  # doctest: +SKIP
        (7, 7, 160)
    """

    def __init__(self, path, delegate="", num_threads=2):
        """Loads the file."""
        module = _runtime()
        try:
            if delegate:
                ctypes.CDLL(delegate)  # names a missing library; the runtime's own attempt leaves a broken object
            delegates = [module.load_delegate(delegate)] if delegate else None
            self._interpreter = module.Interpreter(
                model_path=os.fspath(path), num_threads=num_threads, experimental_delegates=delegates
            )
            self._interpreter.allocate_tensors()
        except (RuntimeError, OSError, ValueError) as error:
            text = " ".join(str(error).split())
            raise ValueError(f"cannot load {path} {delegate}: {text}") from error
        self._in, self._out = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        for tensors in (self._in, self._out):
            shape = [int(size) for size in tensors[0]["shape"]] if len(tensors) == 1 else []
            if len(shape) < 2 or shape[0] != 1 or tensors[0]["dtype"] != np.int8:
                raise ValueError(f"expected one int8 tensor in and one out in {path}; export it again")
        self.input, self.output = _described(self._in[0]), _described(self._out[0])

    def __call__(self, image):
        """Returns the int8 result of one image of uint8 pixels."""
        pixels = np.bitwise_xor(image, np.uint8(TURN)).view(np.int8)
        self._interpreter.set_tensor(self._in[0]["index"], pixels[np.newaxis])
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._out[0]["index"])[0]


def _runtime():
    """Returns the first runtime that is installed."""
    for name in RUNTIMES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise ValueError(f"expected one of {', '.join(RUNTIMES)} to be installed, found none")


def _described(tensor):
    scale, zero_point = tensor["quantization"]
    shape = [int(size) for size in tensor["shape"][1:]]
    return {"shape": shape, "scale": float(scale), "zero_point": int(zero_point)}


def main(path, delegate=""):
    """Reads images from standard input and writes their features to standard output."""
    runner = PrefixRunner(path, delegate)
    pipe_in, pipe_out = sys.stdin.buffer, sys.stdout.buffer
    pipe_out.write(json.dumps({"input": runner.input, "output": runner.output}).encode() + b"\n")
    pipe_out.flush()
    shape = runner.input["shape"]
    size = int(np.prod(shape))
    while True:
        content = pipe_in.read(size)
        if len(content) < size:
            return
        features = runner(np.frombuffer(content, np.uint8).reshape(shape))
        pipe_out.write(np.ascontiguousarray(features).tobytes())
        pipe_out.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
