"""Training on several devices of one or more machines."""

import signal
import threading
from typing import Any

import numpy as np
import tensorflow as tf

from tinytl_tf.data.reason import reason
from tinytl_tf.errors import InputError, WorkerLost
from tinytl_tf.training.cluster import Cluster
from tinytl_tf.training.meeting import meet

__all__ = ["DISTRIBUTIONS", "WORKER_TIMEOUT", "Distribution"]

DISTRIBUTIONS = ("none", "mirrored", "workers")
WORKER_TIMEOUT = 600.0  # seconds: other machines may still have to copy photos or start a container
LONGEST_TIMEOUT = 10**6


class Distribution:
    """A strategy of `tf.distribute`, and the role of this process in it.

    Each step takes one batch, which is divided evenly among the devices. The gradient is the gradient of the complete
    batch, so a run has the same losses as on a single device, except for dropout, which each device draws
    independently.

    Args:
        name: `"none"` for one device; `"mirrored"` for all GPUs of this machine; or `"workers"` if this process is one
            of several, which the environment variable `TF_CONFIG` lists; see TensorFlow's MultiWorkerMirroredStrategy.
            All workers need access to the folder of the run, which the first one writes. With `"workers"`, create this
            object before TensorFlow computes anything.
        timeout: Seconds that `"workers"` waits for the other processes.

    Attributes:
        strategy: the strategy.
        worker: index of this process, from 0.
        workers: number of processes.

    Raises:
        InputError: if the name is unknown; if the timeout is out of range; or if, with `"workers"`, the addresses of
            the workers are missing or cannot be used.
        WorkerLost: if another worker is still missing after `timeout` seconds; or if the workers cannot be connected.
    """

    def __init__(self, name: str = "none", *, timeout: float = WORKER_TIMEOUT) -> None:
        if name not in DISTRIBUTIONS:
            raise InputError(f"unknown distribution {name!r}; choose one of {', '.join(DISTRIBUTIONS)}")
        if not 0 < timeout <= LONGEST_TIMEOUT:
            raise InputError(
                f"expected a worker_timeout above 0 and at most {LONGEST_TIMEOUT:,} seconds, got {timeout:g}"
            )
        self.worker, self.workers = 0, 1
        if name == "workers":
            cluster = Cluster.from_environment()
            self.worker, self.workers = cluster.index, len(cluster.addresses)
            self.strategy = _connect(cluster, timeout)
        elif name == "mirrored":
            self.strategy = tf.distribute.MirroredStrategy()
        else:
            self.strategy = tf.distribute.get_strategy()

    @property
    def is_first(self) -> bool:
        """Whether this process writes the folder of the run and evaluates the network."""
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
            array: this worker's part of the batch, `[images of this worker, ...]`.

        Returns:
            The argument for `strategy.run`.
        """
        if self.devices == 1:
            return array
        own = self.devices // self.workers
        parts = np.split(array, own)
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(parts[context.replica_id_in_sync_group % own])
        )

    def wait(self) -> None:
        """Returns when all workers have reached this call."""
        if self.workers > 1:

            @tf.function
            def meet():
                ones = self.strategy.run(lambda: tf.ones([]))
                return self.strategy.reduce(tf.distribute.ReduceOp.SUM, ones, axis=None)

            float(meet())


def _connect(cluster: Cluster, timeout: float) -> tf.distribute.Strategy:
    """Waits for all workers and creates their strategy."""
    meet(cluster, timeout)
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        raise WorkerLost(
            f"expected {len(cluster.addresses)} workers, they cannot be connected ({reason(error)}); start all of them "
            "again with resume=True"
        ) from error
    finally:
        if is_main and before is not None:  # TensorFlow replaces the handler, and then ignores the signal
            signal.signal(signal.SIGTERM, before)
