"""A signature of a LiteRT CompiledModel, called as the Interpreter's signature runners are."""

from typing import Any

import numpy as np
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.tensor_buffer import TensorBuffer

from tinytl_tf.tflite.runtime.named_signature import NamedSignature

__all__ = ["CompiledSignature"]


class CompiledSignature(NamedSignature):
    """One signature of a compiled model, with the methods of `ai_edge_litert.interpreter.SignatureRunner`.

    Args:
        model: The compiled model; it lives as long as one of its signatures does.
        name: Name of the signature.

    Example:
        >>> train = CompiledSignature(model, "train")  # doctest: +SKIP
        >>> train(image=images, label=labels, learning_rate=np.float32([1e-3]))["loss"]  # doctest: +SKIP
    """

    def __init__(self, model: CompiledModel, name: str):
        self._model = model
        self._name = name
        super().__init__(
            _details(model.get_input_tensor_details(name)), _details(model.get_output_tensor_details(name))
        )

    def _run(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        # The buffers of a state are megabytes: they live for one call.
        sources = {name: self._model.create_input_buffer_by_name(self._name, name) for name in inputs}
        results = {name: self._model.create_output_buffer_by_name(self._name, name) for name in self._outputs}
        for name, value in inputs.items():
            sources[name].write(np.atleast_1d(value))
        self._model.run_by_name(self._name, sources, results)
        return {name: _read(buffer, **self._outputs[name]) for name, buffer in results.items()}


def _details(tensors: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: {"dtype": np.dtype(tensor["dtype"]), "shape_signature": np.array(tensor["shape"], np.int32)}
        for name, tensor in tensors.items()
    }


def _read(buffer: TensorBuffer, dtype: np.dtype, shape_signature: np.ndarray) -> np.ndarray:
    return np.asarray(buffer.read(int(np.prod(shape_signature)), dtype)).reshape(shape_signature)
