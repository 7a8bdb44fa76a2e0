"""Where the network of `tinytl export` comes from: a finished run, or a configuration and pre-trained weights."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from absl import flags

from tinytl_tf.errors import InputError

__all__ = ["ExportSource"]


@dataclasses.dataclass
class ExportSource:
    """Where the network comes from: a run, or a configuration and pre-trained weights.

    Attributes:
        config: the configuration.
        folder: of the run, or None.
        run: the configuration, classes and data that the run started with, or None.
        checkpoint_name: of the run.
        checkpoint: when the model of `make_model` was saved; None before, and of a configuration.
    """

    config: Any
    folder: Any = None
    run: Any = None
    checkpoint_name: str = "last"
    checkpoint: Any = None

    @classmethod
    def of(cls, values: flags.FlagValues) -> "ExportSource":
        """Returns the source that the flags of `tinytl export` name."""
        from tinytl_tf.training import RunFolder

        if values.workdir is None:
            return cls(values.config)
        folder = RunFolder(values.workdir)
        run = folder.read_run()
        return cls(run.config, folder, run, values.checkpoint)

    def load_data(self, experiment: Any, needed: bool) -> Any:
        """Returns the data, or None where they are not needed."""
        if self.run is not None and not needed:
            return None
        splits = experiment.load_data(strict_seed=self.run is None)
        print(splits.describe(), flush=True)
        return splits

    def labels(self, splits: Any) -> tuple[Sequence[str], str]:
        """Returns the names of the classes and the task."""
        if self.run is None:
            return splits.train.class_names, splits.train.task
        return self.run.class_names, self.run.task

    def require_same(self, splits: Any, remedy: str) -> None:
        """Refuses data that are not those of the run."""
        changed = self.run.changed_data(splits)
        if changed:
            raise InputError(
                f"cannot judge int8: the {changed} images are not those of the run: content, labels or order has "
                f"changed; {remedy}"
            )

    def make_model(self, experiment: Any, classes: int) -> tuple[Any, Any, str]:
        """Returns the network, what of it trains, and a line about where its weights come from."""
        if self.folder is None:
            model, resolved = experiment.build_model(classes)
            return model, resolved, experiment.describe_branches(model)
        trained = self.folder.load(self.checkpoint_name)
        self.checkpoint = self.folder.checkpoint(self.checkpoint_name, trained)
        return *experiment.adopt(trained), f"{self.checkpoint}\n"
