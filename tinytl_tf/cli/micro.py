"""`tinytl export --target=micro`: a single-graph file for TensorFlow Lite Micro, with a C header and a C array."""

from typing import Any

from absl import flags

from tinytl_tf.cli.target import Target
from tinytl_tf.tflite.manifest import Manifest

__all__ = ["MicroTarget"]


class MicroTarget(Target):
    """A file for microcontrollers. Its interpreter determines the profile and the type of the frozen kernels."""

    name = "micro"
    own_flags = ("state_of",)
    replaced = (("profile", "frozen_weights"), "with --target=micro, which has its own")
    exporter_target = "micro"

    def options(self, values: flags.FlagValues) -> dict[str, Any]:
        """Returns the argument for the model that shares its state files."""
        return {"state_of": values.state_of}

    def report(self, output: str, manifest: Manifest) -> None:
        """Prints the flash size, the arena size and the result of the parity check."""
        sizes, parity, arena = manifest.sizes, manifest.parity, manifest.micro["arena"]
        print(
            f"wrote {output} and its C files: {sizes['file_bytes'] / 1024:.0f} KB of flash, arena of "
            f"{arena['bytes'] / 1024:.0f} KB (tensors {arena['head_bytes'] / 1024:.0f}, variables and records "
            f"{arena['tail_bytes'] / 1024:.0f}), {len(manifest.micro['operators'])} operators to register, state of "
            f"{sizes['state_bytes'] / 1024:.0f} KB; 1 KB is 1024 bytes\n"
            f"parity with TensorFlow over {parity['steps']} steps in TensorFlow Lite Micro: losses within "
            f"{parity['micro']['loss_difference']:.1e}"
        )
