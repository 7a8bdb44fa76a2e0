"""The planned memory of a training step, for a network given by name."""

from tinytl_tf.backbones.builder import build
from tinytl_tf.backbones.describe import describe
from tinytl_tf.backbones.scheme import apply_scheme
from tinytl_tf.export.build import build_file, with_int8_kernels
from tinytl_tf.export.inputs import input_kind
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.memory.planned import PlannedMemory, planned_peak
from tinytl_tf.networks.spec import NetworkSpec
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.tflite.model import Model

__all__ = ["plan_step"]


def plan_step(
    name: str,
    scheme: str,
    *,
    resolution: int,
    batch_size: int,
    classes: int,
    width: float = 1.0,
    frozen_weights: str = "int8",
) -> tuple[NetworkSpec, PlannedMemory]:
    """Converts a network with random weights, and plans the memory of a training step.

    The file is the one that `tinytl export` writes by default, with SGD and the profile `balanced`. Float32 kernels
    need memory in addition to the arena, since LiteRT keeps transposed copies of them if no delegate is used.

    Args:
        name: name of the network; see `build`.
        scheme: a key of `SCHEMES` that needs no branches.
        resolution: height and width of the images, in pixels; must match the input of a network with a fixed size.
        batch_size: images per training step.
        classes: number of outputs.
        width: multiplier for the number of channels; only for tables.
        frozen_weights: data type of frozen weights, `"float32"` or `"int8"`.

    Returns:
        The description of the network, and the planned memory.

    Raises:
        InputError: if the network cannot be built; if it has an operator that is not a builtin operator of LiteRT; or
            if it has no kernel that is large enough to store as int8.

    Example:
        tinytl networks --planned=mbv2_w0.35 --resolution=96
    """
    model = build(name, classes=classes, resolution=resolution, width=width, weights=None)
    apply_scheme(model, scheme)
    options = {"optimizer": get_optimizer("sgd"), "batch_size": batch_size, "inputs": input_kind(model)}
    content, _ = build_file(TrainableModule(model, model.trainable_variables, **options))
    if frozen_weights == "int8":
        content = with_int8_kernels(content)
    return describe(model), planned_peak(Model.from_bytes(content))
