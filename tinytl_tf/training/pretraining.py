"""Pre-training of lite residuals inside a frozen network, on a source data set."""

import dataclasses
import os
import pathlib
from typing import Any

import keras
from ml_collections import ConfigDict

from tinytl_tf import __version__
from tinytl_tf.backbones import BranchCard, save_branches
from tinytl_tf.backbones.frozen_scale import frozen_scales
from tinytl_tf.errors import InputError
from tinytl_tf.experiment import Experiment, flat
from tinytl_tf.networks.schemes import get_scheme
from tinytl_tf.networks.spec import is_of_classifier
from tinytl_tf.networks.variables import variable_spec
from tinytl_tf.training.distribution import Distribution
from tinytl_tf.training.loop import train
from tinytl_tf.training.run_folder import BRANCHES, RunFolder

__all__ = ["pretrain"]

UNSTATED = "not stated"


def pretrain(
    config: ConfigDict,
    workdir: str,
    *,
    resume: bool = False,
    license: str = UNSTATED,
    distribution: Distribution | None = None,
) -> dict[str, Any]:
    """Trains a configuration on its data, as `train` does, and writes the learned branches to a file.

    The classifier of the source set is trained as well, but is left out of that file, `branches.npz` in the run's
    folder.

    Args:
        config: a configuration of a scheme with lite residuals, such as `tinytl-l`, which freezes the rest.
        workdir: the folder of the run; see `RunFolder`.
        resume: whether to continue the run in the folder; its configuration must be the same.
        license: terms of the branches, for their card.
        distribution: the devices, as for `train`.

    Returns:
        The result of `train`, with `branches`, the path of that file, and `card`, its description.

    Raises:
        InputError: as for `train`; or if the scheme trains no lite residuals, or late ones only.
        TrainingDiverged: as for `train`.
        WorkerLost: as for `train`.
    """
    experiment = Experiment(config)
    scheme = experiment.scheme()
    if get_scheme(scheme.name).depends_on_network:  # a file of branches names the scheme, without a network
        raise InputError(
            f"scheme {scheme.name} trains late places only, and pre-trained branches are for all places; choose "
            "tinytl-l, or tinytl-lb for biases as well"
        )
    if not scheme.lite_residual:
        raise InputError(
            f"scheme {scheme.name} trains no lite residuals to keep; choose tinytl-l, or tinytl-lb for biases as well"
        )
    distribution = distribution or Distribution()
    result = train(config, workdir, resume=resume, distribution=distribution)
    folder = RunFolder(workdir)
    model, resolution = experiment.adopt(folder.load("last"))
    trained = {variable.path for variable in resolution.variables if not is_of_classifier(variable.path)}
    variables = [v for v in model.weights if v.path in trained or variable_spec(v).branch]
    card = _card(experiment, model, result, license)
    if distribution.is_first:
        save_branches(folder.path / BRANCHES, variables, card)
    return {**result, "branches": str(folder.path / BRANCHES), "card": dataclasses.asdict(card)}


def _card(experiment: Experiment, model: keras.Model, result: dict[str, Any], license: str) -> BranchCard:
    config, splits = experiment.config, experiment.load_data()
    values = flat(config)
    for key in ("data.name", "data.data_dir", "backbone.weights", "backbone.branch_weights"):
        values[key] = _without_folder(values[key])
    return BranchCard(
        backbone=config.backbone.name,
        width=float(config.backbone.width),
        scheme=config.scheme,
        source=values["data.name"],
        classes=len(splits.train.class_names),
        train_images=len(splits.train),
        test_images=result.get("test_images", 0),
        test_accuracy=result.get("test_accuracy", 0.0),
        test_loss=result.get("test_loss", 0.0),
        resolution=config.backbone.resolution,
        frozen_scales=frozen_scales(model),
        license=license,
        config=values,
        made_with=f"tinytl_tf {__version__}",
    )


def _without_folder(name: str) -> str:
    """The last part of a path; other names of sets and weights stay as they are."""
    return name if name.startswith("tfds:") else pathlib.PurePath(os.path.normpath(name)).name if name else ""
