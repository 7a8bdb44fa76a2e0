"""A signature of the contract, computed by the graph of a file for TensorFlow Lite Micro."""

from typing import Any, ClassVar

import numpy as np

from tinytl_tf.tasks import Task
from tinytl_tf.tflite.micro_contract import COMMANDS, INPUTS, OUTPUTS
from tinytl_tf.tflite.runtime.named_signature import NamedSignature

__all__ = ["MicroInterpreter", "MicroSignature"]


class MicroInterpreter:
    """The graph by names in place of numbers.

    Args:
        interpreter: Of `tflite_micro`.

    Example:
        >>> MicroInterpreter(interpreter).run("infer", image=image)["logits"]  # doctest: +SKIP
    """

    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter

    def run(self, command: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Runs a command.

        Args:
            command: A key of `COMMANDS`.
            **inputs: Inputs that the command uses, by the names of `INPUTS`.

        Returns:
            All of `OUTPUTS`; outputs that the command does not write have undefined values.

        Raises:
            RuntimeError: If the interpreter cannot run it.
        """
        for name, value in {**inputs, "command": np.int32([COMMANDS[command]])}.items():
            self._interpreter.set_input(value, INPUTS.index(name))
        self._interpreter.invoke()
        return {name: self._interpreter.get_output(number) for number, name in enumerate(OUTPUTS)}


class MicroSignature(NamedSignature):
    """One signature, called as the Interpreter's signature runners are.

    Args:
        name: One of `NAMES`.
        interpreter: The graph; it lives as long as one of its signatures does.
        details: `inputs` and `outputs` of the graph: name -> `dtype` and `shape_signature`.
        batch_size: Images of a call of `train`.
        task: Task of the labels.

    Attributes:
        NAMES: Functions of a file, by the names of LiteRT's signatures.
    """

    NAMES: ClassVar = ("infer", "train", "save", "restore", "reset")

    def __init__(
        self, name: str, interpreter: MicroInterpreter, details: dict[str, Any], batch_size: int, task: Task
    ) -> None:
        self._command = getattr(self, f"_{name}")
        self._interpreter, self._task = interpreter, task
        given, results = details["inputs"], details["outputs"]
        restored = {"restored": results["applied"]}
        batch = {key: _stacked(given[key], batch_size) for key in ("image", "label")}
        inputs, outputs = {
            "infer": ({"image": given["image"]}, {"logits": results["logits"], "probabilities": results["logits"]}),
            "train": (
                {**batch, "learning_rate": given["learning_rate"]},
                {key: results[key] for key in ("loss", "accuracy", "applied")},
            ),
            "save": ({}, {"state": results["state"]}),
            "restore": ({"state": given["state"]}, restored),
            "reset": ({}, restored),
        }[name]
        super().__init__(inputs, outputs)

    def _run(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        return self._command(**inputs)

    def _infer(self, image):
        logits = self._interpreter.run("infer", image=image)["logits"]
        return {"logits": logits, "probabilities": self._task.probabilities(logits).astype(np.float32)}

    def _train(self, image, label, learning_rate):
        self._interpreter.run("forget")  # rest of an interrupted call
        results = [
            self._interpreter.run("accumulate", image=image[i : i + 1], label=label[i : i + 1])
            for i in range(len(image))
        ]
        applied = self._interpreter.run("apply", learning_rate=learning_rate)["applied"]
        means = {name: np.mean([result[name] for result in results], axis=0) for name in ("loss", "accuracy")}
        return {**means, "applied": applied}

    def _save(self):
        return {"state": self._interpreter.run("save")["state"]}

    def _restore(self, state):
        return {"restored": self._interpreter.run("restore", state=state)["applied"]}

    def _reset(self):
        return {"restored": self._interpreter.run("reset")["applied"]}


def _stacked(details: dict[str, Any], batch_size: int) -> dict[str, Any]:
    shape = details["shape_signature"].copy()
    shape[0] = batch_size
    return {**details, "shape_signature": shape}
