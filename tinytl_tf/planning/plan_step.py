"""The planned memory of a training step of a network by its name."""

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
    """Converts a network with random weights, and lays the memory of a training step out.

    The file is the one that `tinytl export` writes by default: SGD, the profile `balanced`. Kernels of float32
    need memory in addition to the arena: LiteRT without a delegate keeps transposed copies of them.

    Args:
        name: of the network, as `build` takes it.
        scheme: a key of `SCHEMES` that needs no branches.
        resolution: height and width of the images, in pixels; a network of a file keeps its own.
        batch_size: images of a step.
        classes: number of outputs.
        width: multiplies the number of channels, of a table.
        frozen_weights: `"float32"` or `"int8"`.

    Returns:
        The description of the network, and its plan.

    Raises:
        InputError: If the network is impossible, has an operator that is not a builtin of LiteRT, or has no kernel
            that is large enough to store as int8.

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
