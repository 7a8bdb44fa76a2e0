"""A target of `tinytl export`: its flags and checks, the files that it writes, and its report."""

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
        model: the network, with the state of `--state`; its trainable variables are those of the scheme.
        experiment: of the configuration.
        splits: the data if the target or int8 needs them, else None.
        labels: names of the classes, after `--rename`.
        task: a key of `tinytl_tf.tasks.TASKS`.
    """

    model: "keras.Model"
    experiment: "Experiment"
    splits: "Splits | None"
    labels: Sequence[str]
    task: str


class Target:
    """A `.tflite` for LiteRT, `--target=file`, and the base of the other targets.

    Attributes:
        name: value of `--target`.
        own_flags: those that do nothing with other targets.
        replaced: flags that do nothing with it, and why.
        always_needs_photos: whether it needs training images, whatever the frozen kernels are.
        default_max_planned_mb: limit of a training step without `--max_planned_mb`; None for no limit.
        always_saves_optimizer: whether the state has the optimizer's slots without `--save_optimizer`.
        exporter_target: the `target` of `export`.
        remedy_for_other_data: remedy if the data are not those of the run.
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
        """Refuses flags that do not fit; a subclass adds its own rules.

        Raises:
            InputError: If a flag does nothing with this target, or has a value that it cannot have.
        """
        names, why = self.replaced
        runner.refuse_unused(values, names, why)
        limit = values.max_planned_mb
        if limit is not None and not 0 < limit < math.inf:
            raise InputError(f"expected a finite --max_planned_mb above 0, got {limit:g}")

    def written(self, output: str) -> list[pathlib.Path | str]:
        """Returns the paths that it writes."""
        return [output, manifest_path(output)]

    def needs_photos(self, values: flags.FlagValues) -> bool:
        """Returns whether training images have to be read."""
        return self.always_needs_photos or values.frozen_weights == "int8"

    def restrict(self, values: flags.FlagValues, config: ConfigDict) -> None:
        """Restricts the scheme in the configuration to variables that the target can train."""

    def choose(
        self, values: flags.FlagValues, config: ConfigDict, splits: "Splits | None", make_model: Callable
    ) -> tuple[ConfigDict, dict[str, Any]]:
        """Measures to choose a setting that the flags leave open.

        Args:
            values: The flags.
            config: The configuration.
            splits: The data.
            make_model: Gives the network of an experiment.

        Returns:
            The configuration to export, and the part of the result of `--json` that says how it was chosen.
        """
        return config, {}

    def common_options(self, values: flags.FlagValues, ready: Export) -> dict[str, Any]:
        """Returns the arguments that all exporters have."""
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
        """Returns arguments of `export` that the target decides."""
        return {"profile": values.profile, "frozen_weights": values.frozen_weights}

    def write(self, values: flags.FlagValues, ready: Export) -> dict[str, Any]:
        """Writes and reports the files; returns the result for `--json`."""
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
