"""Training on several devices, of one machine or of several."""

import json
import os
from typing import Any

import numpy as np
import tensorflow as tf

from tinytl_tf.errors import InputError

__all__ = ["DISTRIBUTIONS", "Distribution"]

DISTRIBUTIONS = ("none", "mirrored", "workers")
_CONFIG = "TF_CONFIG"


class Distribution:
    """A strategy of `tf.distribute`, and what this process does in it.

    Each step takes one batch, which is divided evenly among the devices; the gradient is that of the whole batch, so
    that a run has the losses of one on a single device, but for dropout, which each device draws for itself.

    Args:
        name: `"none"`; `"mirrored"`: all GPUs of this machine; or `"workers"`: this process is one of several, which
            the environment variable `TF_CONFIG` tells, see TensorFlow's MultiWorkerMirroredStrategy. All workers see
            the folder of the run; the first one writes it. With `"workers"` it is made before TensorFlow computes
            anything.

    Attributes:
        strategy: the strategy.
        worker: number of this process, from 0.
        workers: number of processes.

    Raises:
        InputError: for another name, or `"workers"` without the addresses of workers.
    """

    def __init__(self, name: str = "none") -> None:
        if name not in DISTRIBUTIONS:
            raise InputError(f"unknown distribution {name!r}; choose one of {', '.join(DISTRIBUTIONS)}")
        self.worker, self.workers = 0, 1
        if name == "workers":
            self.worker, self.workers = _place(os.environ.get(_CONFIG, ""))
            self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
        elif name == "mirrored":
            self.strategy = tf.distribute.MirroredStrategy()
        else:
            self.strategy = tf.distribute.get_strategy()

    @property
    def is_first(self) -> bool:
        """Whether this process writes the folder of the run and judges the network."""
        return self.worker == 0

    @property
    def devices(self) -> int:
        """Number of devices of all workers."""
        return self.strategy.num_replicas_in_sync

    def require_batch(self, batch_size: int) -> None:
        """Raises `InputError` unless a batch can be divided evenly among the devices."""
        if batch_size % self.devices:
            raise InputError(
                f"a batch of {batch_size} cannot be divided evenly among {self.devices} devices; choose a "
                f"config.training.batch_size that can, {-(-batch_size // self.devices) * self.devices} for example"
            )

    def spread(self, array: np.ndarray) -> Any:
        """Divides this worker's part of a batch among its devices.

        Args:
            array: `[images of this worker, ...]`.

        Returns:
            What `strategy.run` takes.
        """
        if self.devices == 1:
            return array
        own = self.devices // self.workers
        parts = np.split(array, own)
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(parts[context.replica_id_in_sync_group % own])
        )

    def wait(self) -> None:
        """Returns when all workers have come here."""
        if self.workers > 1:

            @tf.function
            def meet():
                ones = self.strategy.run(lambda: tf.ones([]))
                return self.strategy.reduce(tf.distribute.ReduceOp.SUM, ones, axis=None)

            float(meet())


def _place(text: str) -> tuple[int, int]:
    """Number of this worker and of all, from the environment variable."""
    expected = '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
    try:
        config = json.loads(text)
        addresses, task = config["cluster"]["worker"], config["task"]
        place = (int(task["index"]), len(addresses))
        fits = set(config["cluster"]) == {"worker"} and task["type"] == "worker" and 0 <= place[0] < place[1]
    except (ValueError, KeyError, TypeError):
        fits = False
    if not fits:
        raise InputError(f"expected {_CONFIG}={expected} in the environment, got {text or 'nothing'!r}; set it")
    return place
