"""Base of signatures of runtimes other than the Interpreter."""

import abc
from typing import Any

import numpy as np

__all__ = ["NamedSignature"]


class NamedSignature(abc.ABC):
    """One signature, with the methods of `ai_edge_litert.interpreter.SignatureRunner`.

    Args:
        inputs: Name of each input -> its `dtype` (NumPy's) and `shape_signature`.
        outputs: The same of the outputs.
    """

    def __init__(self, inputs: dict[str, dict[str, Any]], outputs: dict[str, dict[str, Any]]) -> None:
        self._inputs, self._outputs = inputs, outputs

    def get_input_details(self) -> dict[str, dict[str, Any]]:
        """Name of each input -> its `dtype` (NumPy's) and `shape_signature`."""
        return self._inputs

    def get_output_details(self) -> dict[str, dict[str, Any]]:
        """Name of each output -> its `dtype` (NumPy's) and `shape_signature`."""
        return self._outputs

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Runs the signature.

        Args:
            **inputs: An array of the input's type and shape for each input.

        Returns:
            Name of each output -> a new array.

        Raises:
            ValueError: If the names differ from the inputs' names.
            RuntimeError: If the runtime cannot run it.
        """
        if inputs.keys() != self._inputs.keys():
            raise ValueError(f"expected the inputs {sorted(self._inputs)}, got {sorted(inputs)}")
        return self._run(**inputs)

    @abc.abstractmethod
    def _run(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Runs it with inputs of the right names."""
