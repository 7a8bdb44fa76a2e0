"""Base class for the targets of `tinytl export`: flags, checks, written files and report."""

import dataclasses
import json
import math
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from absl import flags
from ml_collections import ConfigDict

from tinytl_tf.cli import runner
from tinytl_tf.errors import InputError
from tinytl_tf.tflite.manifest import Manifest, manifest_path

if TYPE_CHECKING:
    import keras

    from tinytl_tf.data import Splits
    from tinytl_tf.experiment import Experiment

__all__ = ["Export", "Target"]


@dataclasses.dataclass(frozen=True)
class Export:
    """An export that is ready to be written.

    Attributes:
        model: the network, with the variables of `--state` if given. Only the variables of the update scheme are
            trainable.
        experiment: the `Experiment` of the configuration.
        splits: the data, or None unless the target or int8 kernels need them.
        labels: class names, after `--rename`.
        task: a key of `tinytl_tf.tasks.TASKS`.
    """

    model: "keras.Model"
    experiment: "Experiment"
    splits: "Splits | None"
    labels: Sequence[str]
    task: str


class Target:
    """A `.tflite` for LiteRT (`--target=file`), and the base class of all other targets.

    Attributes:
        name: value of `--target`.
        own_flags: flags that have no effect for any other target.
        replaced: `(flags, reason)`: flags that have no effect for this target, and the reason for the error message.
        always_needs_photos: whether the export needs training images for any type of frozen kernels.
        default_max_planned_mb: default of `--max_planned_mb`; None for no limit.
        always_saves_optimizer: whether the state includes the optimizer's slots without `--save_optimizer`.
        exporter_target: value for the argument `target` of `export`.
        remedy_for_other_data: remedy in the error message for data that differ from those of the run.
    """

    name = "file"
    own_flags: tuple[str, ...] = ()
    replaced: tuple[tuple[str, ...], str] = ((), "")
    always_needs_photos = False
    default_max_planned_mb: float | None = None
    always_saves_optimizer = False
    exporter_target = "litert"
    remedy_for_other_data = "use the same data, or --frozen_weights=float32"

    def check(self, values: flags.FlagValues) -> None:
        """Rejects flags that do not fit the target. Subclasses add their own rules.

        Raises:
            InputError: If a flag has no effect for this target, or if its value is not allowed.
        """
        names, why = self.replaced
        runner.refuse_unused(values, names, why)
        limit = values.max_planned_mb
        if limit is not None and not 0 < limit < math.inf:
            raise InputError(f"expected a finite --max_planned_mb above 0, got {limit:g}")

    def written(self, output: str) -> list[pathlib.Path | str]:
        """Returns the paths of the files to write."""
        return [output, manifest_path(output)]

    def needs_photos(self, values: flags.FlagValues) -> bool:
        """Returns whether the export needs training images."""
        return self.always_needs_photos or values.frozen_weights == "int8"

    def restrict(self, values: flags.FlagValues, config: ConfigDict) -> None:
        """Restricts the scheme of the configuration to variables that the target can train."""

    def choose(
        self, values: flags.FlagValues, config: ConfigDict, splits: "Splits | None", make_model: Callable
    ) -> tuple[ConfigDict, dict[str, Any]]:
        """Chooses settings that the flags leave open, by measurement.

        Args:
            values: The flags.
            config: The configuration.
            splits: The data.
            make_model: Function that returns the network for an `Experiment`.

        Returns:
            The configuration to export, and the entries of the `--json` result that describe the choice.
        """
        return config, {}

    def common_options(self, values: flags.FlagValues, ready: Export) -> dict[str, Any]:
        """Returns the arguments that all exporters share."""
        return {
            "labels": ready.labels,
            "task": ready.task,
            "spare_classes": values.spare_classes,
            "optimizer": values.optimizer,
            "batch_size": values.batch_size,
            "label_smoothing": values.label_smoothing,
            "save_optimizer": values.save_optimizer or self.always_saves_optimizer,
            **ready.experiment.client_settings(values.optimizer),
            "overwrite": values.overwrite,
            "verbose": True,
        }

    def options(self, values: flags.FlagValues) -> dict[str, Any]:
        """Returns the arguments of `export` that depend on the target."""
        return {"profile": values.profile, "frozen_weights": values.frozen_weights}

    def write(self, values: flags.FlagValues, ready: Export) -> dict[str, Any]:
        """Writes the files and prints a report; returns the result for `--json`."""
        from tinytl_tf.export import export

        given, int8 = values.max_planned_mb, values.frozen_weights == "int8"
        limit = self.default_max_planned_mb if given is None else given
        manifest = export(
            ready.model,
            values.output,
            target=self.exporter_target,
            photos=ready.experiment.plain_batches(ready.splits.train, values.batch_size) if int8 else None,
            max_planned_bytes=None if limit is None else math.ceil(min(1e6 * limit, runner.MOST)),
            **self.options(values),
            **self.common_options(values, ready),
        )
        self.report(values.output, manifest)
        return {"output": values.output, **json.loads(manifest.to_json())}

    def report(self, output: str, manifest: Manifest) -> None:
        """Prints a report of the file."""
        sizes, parity = manifest.sizes, manifest.parity
        print(
            f"wrote {output}: {sizes['file_bytes'] / 1e6:.1f} MB, {len(manifest.operators)} kinds of builtin "
            f"operators, state of {sizes['state_bytes'] / 1e3:.1f} KB, planned training peak "
            f"{manifest.planned_peak_bytes['train'] / 1e6:.1f} MB\n"
            f"parity with TensorFlow over {parity['steps']} steps: losses within "
            f"{parity['xnnpack']['loss_difference']:.1e} with XNNPACK, "
            f"{parity['without_xnnpack']['loss_difference']:.1e} without"
        )
        for name in ("xnnpack", "without_xnnpack") if "int8" in parity else ():
            figures = parity["int8"][name]
            worst, cosine = next(iter(figures["variables"].items()))
            print(
                f"int8 against float32 ({name}): loss within {figures['loss_difference']:.1e}, cosine of the gradient "
                f"{figures['cosine']:.4f}, of its worst variable ({worst}) {cosine:.3f}; all are in the manifest"
            )
