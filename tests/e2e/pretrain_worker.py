"""Runs `tinytl pretrain` with the tiny network, as one of the workers in `TF_CONFIG`, or on two devices of this CPU."""

import functools
import sys

from tests.training import tiny
from tinytl_tf.cli.main import main
from tinytl_tf.cli.supervisor import supervised


def two_devices() -> None:
    """Makes two devices of the CPU, and takes them for the GPUs of this machine."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    tf.distribute.MirroredStrategy = functools.partial(tf.distribute.MirroredStrategy, ["CPU:0", "CPU:1"])


def run() -> int:
    """Runs the command of this process with the tiny network."""
    if "--distribute=mirrored" in sys.argv:
        two_devices()
    from tinytl_tf.backbones import ARCHITECTURES

    ARCHITECTURES[tiny.BACKBONE] = tiny.architecture()
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(supervised(sys.argv[1:], run))  # as main does, before TensorFlow is imported
