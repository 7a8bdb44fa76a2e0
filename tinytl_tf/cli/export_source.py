"""Source of the network for `tinytl export`: a finished run, or a configuration with pre-trained weights."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from absl import flags

from tinytl_tf.errors import InputError

__all__ = ["ExportSource"]


@dataclasses.dataclass
class ExportSource:
    """Source of the network to export: a finished run, or a configuration with pre-trained weights.

    Attributes:
        config: the configuration.
        folder: folder of the run, or None for a configuration.
        run: the configuration, classes and data that the run started with, or None for a configuration.
        checkpoint_name: which checkpoint of the run to export.
        checkpoint: the `Checkpoint` that `make_model` loaded, which records when it was saved. None before that call,
            and always None for a configuration.
    """

    config: Any
    folder: Any = None
    run: Any = None
    checkpoint_name: str = "last"
    checkpoint: Any = None

    @classmethod
    def of(cls, values: flags.FlagValues) -> "ExportSource":
        """Returns the source selected by the flags of `tinytl export`."""
        from tinytl_tf.training import RunFolder

        if values.workdir is None:
            return cls(values.config)
        folder = RunFolder(values.workdir)
        run = folder.read_run()
        return cls(run.config, folder, run, values.checkpoint)

    def load_data(self, experiment: Any, needed: bool) -> Any:
        """Loads the data, or returns None if they are not needed."""
        if self.run is not None and not needed:
            return None
        splits = experiment.load_data(strict_seed=self.run is None)
        print(splits.describe(), flush=True)
        return splits

    def labels(self, splits: Any) -> tuple[Sequence[str], str]:
        """Returns the class names and the task."""
        if self.run is None:
            return splits.train.class_names, splits.train.task
        return self.run.class_names, self.run.task

    def require_same(self, splits: Any, remedy: str) -> None:
        """Raises `InputError` if the data differ from those of the run."""
        changed = self.run.changed_data(splits)
        if changed:
            raise InputError(
                f"cannot judge int8: the {changed} images are not those of the run: content, labels or order has "
                f"changed; {remedy}"
            )

    def make_model(self, experiment: Any, classes: int) -> tuple[Any, Any, str]:
        """Returns the network, its resolved update scheme, and a line that describes where its weights come from."""
        if self.folder is None:
            model, resolved = experiment.build_model(classes)
            return model, resolved, experiment.describe_branches(model)
        trained = self.folder.load(self.checkpoint_name)
        self.checkpoint = self.folder.checkpoint(self.checkpoint_name, trained)
        return *experiment.adopt(trained), f"{self.checkpoint}\n"
