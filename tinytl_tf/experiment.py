"""Builds the data set and the network that a configuration describes."""

import dataclasses
import itertools
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from ml_collections import ConfigDict, FrozenConfigDict

from tinytl_tf import backbones, data
from tinytl_tf.backbones.branch_weights import AUTO
from tinytl_tf.backbones.describe import describe
from tinytl_tf.backbones.kernel_values import pair_values, whole_values
from tinytl_tf.configs import default
from tinytl_tf.errors import InputError
from tinytl_tf.keras_backend import require_keras_settings
from tinytl_tf.networks import schemes
from tinytl_tf.networks.architectures import MAX_RESOLUTION
from tinytl_tf.networks.branches import BRANCHES, BranchChoice, branch_places, chosen_places, with_branches
from tinytl_tf.networks.depths import with_depths
from tinytl_tf.networks.kernel_options import KernelOptions, kernel_options, read_kernels, with_kernel_options
from tinytl_tf.networks.spec import NetworkSpec, check_places
from tinytl_tf.networks.variables import variable_spec
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.schedules import SCHEDULES
from tinytl_tf.tflite.manifest import SPLITS, DataSettings

__all__ = ["PRECISIONS", "Experiment", "drop_useless_rate_factors", "flat", "network_of"]

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
CACHE_BYTES = 256 * 2**20  # for the decoded images of each split; training in Keras takes far more
MOST_CENTROIDS = 2**16
FLOAT32 = (1.2e-38, 3.4e38)  # in float32, smaller values become 0 and larger ones infinite
# Smallest and largest value of integers that are not checked elsewhere in the package.
RANGES = {
    "training.epochs": (1, 10**6),
    "training.batch_size": (1, 10**6),
    "training.seed": (0, 2**32 - 1),
    "training.warmup_steps": (0, 10**9),
    "training.saves_per_epoch": (1, 10**6),
    "training.teacher_scale": (0, 64),
    "backbone.resolution": (1, MAX_RESOLUTION),
    "backbone.lora_rank": (0, 1024),
    "data.split_seed": (0, 2**32 - 1),
    "data.threads": (1, 1024),
    "data.train_images": (0, 2**31 - 1),
    "data.test_images": (0, 2**31 - 1),
}


def flat(config: ConfigDict) -> dict[str, Any]:
    """Returns the values of a configuration by dotted key; lists, which JSON uses, become tuples."""
    values = {}
    for key, value in config.items():
        if isinstance(value, ConfigDict):
            values |= {f"{key}.{inner}": item for inner, item in flat(value).items()}
        else:
            values[key] = _as_tuples(value)
    return values


def drop_useless_rate_factors(config: ConfigDict) -> None:
    """Removes the rate factors that apply to no variable that the configuration trains.

    Use it for a configuration whose scheme or places were changed after its rate factors were written.

    Args:
        config: The configuration, which is changed.

    Raises:
        InputError: If keys are missing or unknown; or if a value is invalid.
    """
    _check_keys(config)
    if config.training.rate_factors:
        scheme = Experiment(config).scheme()
        spec = network_of(config, branch=scheme.branch)
        config.training.rate_factors = schemes.useful_rate_factors(scheme, spec.variables)


def network_of(config: ConfigDict | FrozenConfigDict, *, classes: int = 2, branch: str = "") -> NetworkSpec:
    """Returns the description of a configuration's network.

    Args:
        config: the configuration; its scheme and places are ignored.
        classes: number of outputs.
        branch: kind of branch to add at every place that fits; "" for no branches.
    """
    options = config.backbone
    spec = backbones.network_spec(
        options.name,
        resolution=options.resolution,
        classes=classes,
        width=options.width,
        preprocess_input=options.preprocess_input,
    )
    spec = with_depths(spec, tuple(options.feature_places))
    if not branch:
        return spec
    return with_branches(spec, branch_places(spec, branch), branch, **_branch_settings(options, branch))


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A checked configuration.

    Attributes:
        config: a configuration with the keys of `configs/default.py`. After the check, its learning rate is never 0:
            the default rate of the scheme and optimizer replaces a rate of 0.
        has_own_rate: whether the configuration itself sets the learning rate, as the configuration of a saved run does.

    Raises:
        InputError: if a value is out of range; if a name is unknown; or if Keras itself has unsupported settings.
    """

    config: ConfigDict | FrozenConfigDict
    has_own_rate: bool = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        require_keras_settings()
        _check_keys(self.config)
        object.__setattr__(self, "has_own_rate", self.config.training.learning_rate != 0)
        # A copy: later changes by the caller do not affect a checked run.
        object.__setattr__(self, "config", _with_learning_rate(self.config))
        values, training = flat(self.config), self.config.training
        for key, (low, high) in RANGES.items():
            if not low <= values[key] <= high:
                raise InputError(f"config.{key} must be from {low} to {high}, got {values[key]}")
        if not 0 <= training.label_smoothing < 1:
            raise InputError(f"config.training.label_smoothing must be in [0, 1), got {training.label_smoothing}")
        least, most = FLOAT32
        for key in ("learning_rate", "weight_decay", "clip_norm"):
            if not least <= training[key] <= most and (key == "learning_rate" or training[key] != 0):
                raise InputError(
                    f"config.training.{key} must be 0 or from {least:g} to {most:g}, as the float32 of a step, got "
                    f"{training[key]!r:.40}"
                )
        if training.schedule not in SCHEDULES:
            raise InputError(f"unknown schedule {training.schedule!r}; choose one of {', '.join(SCHEDULES)}")
        if training.precision not in PRECISIONS:
            raise InputError(f"unknown precision {training.precision!r}; choose one of {', '.join(PRECISIONS)}")
        get_optimizer(training.optimizer)
        self._check_centroids()
        self._check_teacher()
        scheme, options = self.scheme(), self.config.backbone
        # The number of classes depends on the data; 2 stands in for it.
        backbones.check_network(
            options.name,
            classes=2,
            resolution=options.resolution,
            width=options.width,
            lite_residual=scheme.lite_residual,
            preprocess_input=options.preprocess_input,
        )
        if self.config.backbone.branch_weights not in ("", AUTO) and not scheme.lite_residual:
            raise InputError(
                f"config.backbone.branch_weights does nothing for scheme {self.config.scheme!r}, which has no lite "
                'residuals; choose another scheme, or set it to ""'
            )
        if self.config.biases:
            check_places("biases", self.config.biases, network_of(self.config).places)
        if options.feature_places:
            network_of(self.config)  # checks them
        if self.config.kernels:
            with_kernel_options(network_of(self.config), read_kernels(self.config.kernels))  # checks them
        augmentation = self.augmentation()
        if training.cache_features:
            data.check_cacheable(augmentation)
        data.check_central_fraction(self.config.data.central_fraction)
        if self.config.data.split not in SPLITS:
            raise InputError(
                f"config.data.split must be one of {', '.join(map(repr, SPLITS))}, got {self.config.data.split!r}"
            )

    def _check_centroids(self) -> None:
        count = self.config.backbone.kernel_centroids
        if count != 0 and not 2 <= count <= MOST_CENTROIDS:
            raise InputError(
                f"config.backbone.kernel_centroids must be 0, or from 2 to {MOST_CENTROIDS}, got {count}; the paper's "
                "8 bits are 256"
            )
        if count and self.config.scheme == "full":
            raise InputError(
                "config.backbone.kernel_centroids rounds frozen kernels, and scheme 'full' has none; set it to 0, or "
                "choose another scheme"
            )

    def _check_teacher(self) -> None:
        training = self.config.training
        share, scale = training.distillation, training.teacher_scale
        if not 0 <= share <= 1:
            raise InputError(f"config.training.distillation must be from 0 to 1, got {share}")
        if bool(share) != bool(scale):
            raise InputError(
                f"expected config.training.distillation and teacher_scale both above 0 or both 0, got {share} and "
                f"{scale}; 0.5 and 2 are a start"
            )
        if share and not self.config.backbone.weights:
            raise InputError(
                "config.training.distillation takes the frozen network as the teacher, and config.backbone.weights is "
                'empty: random weights teach nothing; set it to "imagenet" or a file'
            )
        if share and training.cache_features:
            raise InputError(
                "config.training.distillation needs whole images and config.training.cache_features keeps features; "
                "leave one of them out"
            )

    def scheme(self) -> schemes.Scheme:
        """Returns the scheme, restricted to the places of the configuration, with its rate factors."""
        scheme = schemes.restrict(
            schemes.get_scheme(self.config.scheme),
            biases=tuple(self.config.biases),
            kernels=tuple(read_kernels(self.config.kernels)),
            branches=tuple(self.config.branches),
            lite_residuals=tuple(self.config.lite_residuals),
        )
        if scheme.depends_on_network:
            scheme = scheme.of(network_of(self.config))
        return schemes.with_rate_factors(scheme, self.config.training.rate_factors)

    def load_data(self, *, strict_seed: bool = True) -> data.Splits:
        """Opens the data set.

        Args:
            strict_seed: whether to refuse a split seed above 0 for a data set with fixed test images. Otherwise, such a
                data set ignores the seed, for example when a run's network is evaluated on different data.

        Raises:
            InputError: If the configuration does not name a data set; or if the data set cannot be used.
        """
        options = self.config.data
        if not options.name:
            raise InputError(
                "config.data.name is empty; set it to a folder of images, a packed .npz, tfds:NAME or digits"
            )
        splits = data.load(
            options.name,
            seed=(options.split_seed or None) if strict_seed else None,
            default_seed=options.split_seed,
            train_images=options.train_images or None,
            test_images=options.test_images or None,
            data_dir=options.data_dir or None,
            download=options.download,
            cache_bytes=CACHE_BYTES,
            skip_broken=options.skip_broken,
            strict=options.strict,
        )
        splits.warn_of_other_split(options.split)
        return splits

    def augmentation(self) -> data.Augmentation:
        """Returns the augmentation of training images."""
        return data.Augmentation(**self.config.augmentation)

    def client_settings(self, optimizer: str) -> dict[str, Any]:
        """Returns the arguments of `tinytl_tf.export.export` that set the clients' defaults for images and training.

        Args:
            optimizer: optimizer of the exported file. If the configuration has a different optimizer, its learning rate
                is multiplied by the ratio of their `rate_factor`. A default learning rate is left out; the file then
                uses its own default.
        """
        config, augmentation = self.config, self.augmentation()
        factors = [get_optimizer(name).rate_factor for name in (optimizer, config.training.optimizer)]
        return {
            "central_fraction": config.data.central_fraction,
            "data": DataSettings(
                split_seed=config.data.split_seed,
                crop=augmentation.crop,
                crop_area=tuple(map(float, augmentation.crop_area)),
                crop_aspect=tuple(map(float, augmentation.crop_aspect)),
                flip=augmentation.flip,
                color=augmentation.color,
                split=config.data.split,
            ),
            "learning_rate": config.training.learning_rate * factors[0] / factors[1] if self.has_own_rate else None,
            "schedule": config.training.schedule,
        }

    def plain_batches(
        self, dataset: data.ImageDataset, batch_size: int, count: int = 4
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns batches of unaugmented training images for checking an exported file.

        Args:
            dataset: the training images.
            batch_size: images per batch.
            count: maximum number of batches; fewer are returned if there are not enough images.

        Returns:
            Images, uint8 `[count, batch_size, height, width, 3]`, and labels, int32 `[count, batch_size]`, or float32
            `[count, batch_size, attributes]` for several attributes.
        """
        batches = data.train_batches(
            dataset,
            batch_size=batch_size,
            image_size=self.config.backbone.resolution,
            seed=0,
            epoch=0,
            augmentation=data.Augmentation(crop=False, flip=False),
            central_fraction=self.config.data.central_fraction,
        )
        images, labels = zip(*itertools.islice(batches, count), strict=True)
        return np.stack(images), np.stack(labels)

    def build_model(self, classes: int) -> tuple[keras.Model, schemes.ResolvedScheme]:
        """Builds the network with its pre-trained weights and applies the scheme.

        Args:
            classes: number of classes in the data.

        Returns:
            The model and the resolved scheme.
        """
        options = self.config.backbone
        model = self._build(
            classes,
            branches=self._branches(),
            weights=options.weights or None,
            branch_weights=options.branch_weights or None,
        )
        resolution = schemes.apply_scheme(model.weights, self.scheme())
        if options.kernel_centroids:
            kernels = [variable for variable in model.weights if len(variable.shape) == 4 and not variable.trainable]
            backbones.round_kernels(kernels, options.kernel_centroids)
        return model, resolution

    def build_teacher(self) -> keras.Model:
        """Returns the pre-trained network, without branches, for images at the teacher's resolution.

        Raises:
            InputError: if the weights cannot be used.
        """
        resolution = self.config.backbone.resolution * self.config.training.teacher_scale
        return self._build(2, branches={}, weights=self.config.backbone.weights, resolution=resolution)

    def adopt(self, trained: keras.Model) -> tuple[keras.Model, schemes.ResolvedScheme]:
        """Applies this configuration's scheme to a network that was trained with a different scheme.

        If the scheme trains branches that the network lacks, they are added. Their output starts at exactly zero, so
        the network computes the same as before. Its wide kernels get the options of this configuration.

        Args:
            trained: a network of the same backbone, width and resolution.

        Returns:
            The model (`trained` itself if it has all branches and options) and the resolved scheme.
        """
        values = whole_values(trained.weights)
        has: dict[str, set[str]] = {}
        for variable in map(variable_spec, trained.weights):
            has.setdefault(variable.branch, set()).add(variable.place)
        scheme, model = self.scheme(), trained
        lacks_branches = scheme.branch and not has.get(scheme.branch, set()).issuperset(self._branch_places())
        options = {name: own for name, own in read_kernels(self.config.kernels).items() if own != KernelOptions()}
        if lacks_branches or options != kernel_options(describe(trained)):
            if lacks_branches:
                has.setdefault(scheme.branch, set()).update(self._branch_places())
            branches = {kind: self._choice(kind, places) for kind, places in has.items() if kind}
            model = self._build(trained.output_shape[-1], branches=branches, weights=None)
            variables = {variable.path: variable for variable in model.weights}
            for path, value in values.items():
                for variable, part in pair_values(variables, path, value):
                    variable.assign(part)
        return model, schemes.apply_scheme(model.weights, scheme)

    def _branches(self) -> dict[str, BranchChoice]:
        """The branches that the scheme trains."""
        kind = self.scheme().branch
        return {kind: self._choice(kind, self._branch_places())} if kind else {}

    def _branch_places(self) -> tuple[str, ...]:
        """Names of the places that need a branch."""
        scheme = self.scheme()
        settings = {"places": True} | dict(scheme.branch_choice)
        own = settings.pop("places")
        places = tuple(self.config.branches) or tuple(self.config.lite_residuals) or own
        try:
            return tuple(chosen_places(network_of(self.config), scheme.branch, places, **settings))
        except InputError as error:
            raise InputError(
                f"{self.config.backbone.name} has no place for {BRANCHES[scheme.branch].title}, which scheme "
                f"{self.config.scheme} trains; choose another scheme, tinytl-b for example"
            ) from error

    def _choice(self, kind: str, places: Iterable[str]) -> BranchChoice:
        scheme = self.scheme()
        own = dict(scheme.branch_choice) if kind == scheme.branch else {}
        return own | _branch_settings(self.config.backbone, kind) | {"places": tuple(places)}

    def describe_branches(self, model: keras.Model) -> str:
        """Returns a line, with its newline, about the initial weights of lite residuals; "" for a scheme without them.

        Args:
            model: model from `build_model`.

        Raises:
            InputError: if the configuration names a file that cannot be used.
        """
        if not self.scheme().lite_residual:
            return ""
        options = self.config.backbone
        line = backbones.describe_branches(model, options.name, options.branch_weights, width=options.width)
        return f"{line}\n"

    def _build(
        self,
        classes: int,
        *,
        branches: dict[str, BranchChoice],
        weights: str | None,
        branch_weights: str | None = None,
        resolution: int | None = None,
    ) -> keras.Model:
        options = self.config.backbone
        return backbones.build(
            options.name,
            classes=classes,
            resolution=resolution or options.resolution,
            width=options.width,
            dropout=options.dropout,
            weights=weights,
            branch_weights=branch_weights,
            preprocess_input=options.preprocess_input,
            kernels=tuple(self.config.kernels),
            feature_places=tuple(options.feature_places),
            seed=self.config.training.seed,
            **branches,
        )


def _branch_settings(options: ConfigDict | FrozenConfigDict, kind: str) -> dict[str, object]:
    """Settings of a kind of branch that `config.backbone` sets; those that are 0 or False have their default."""
    return {name: options[key] for name, key in BRANCHES[kind].config_keys.items() if options[key]}


def _check_keys(config: ConfigDict) -> None:
    """Compares keys and types with the default configuration: a configuration may be the user's own file."""
    if not isinstance(config, ConfigDict):
        raise InputError(f"expected get_config() to return an ml_collections.ConfigDict, got {type(config).__name__}")
    values, expected = flat(config), flat(default.get_config())
    problems = [f"lacks {key}" for key in expected if key not in values]
    problems += [f"has the unknown key {key}" for key in values if key not in expected]
    if problems:
        raise InputError(f"the config {problems[0]}; start from tinytl_tf.configs.default.get_config()")
    for key, example in expected.items():
        if key != "training.rate_factors" and not _is_like(values[key], example):
            raise InputError(f"config.{key} must be of the kind of its default {example!r}, got {values[key]!r}")


def _with_learning_rate(config: ConfigDict | FrozenConfigDict) -> FrozenConfigDict:
    """Returns a copy in which the default learning rate of the scheme and optimizer replaces a rate of 0."""
    values = config.to_dict()
    if values["training"]["learning_rate"] == 0:
        scheme = schemes.get_scheme(config.scheme).name  # refuses an unknown scheme
        values["training"]["learning_rate"] = schemes.default_learning_rate(scheme, config.training.optimizer)
    return FrozenConfigDict(values)


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list | tuple) else value


def _is_like(value: Any, example: Any) -> bool:
    if example == ():
        return isinstance(value, tuple) and all(isinstance(item, str) for item in value)
    if isinstance(value, tuple) and isinstance(example, tuple):
        return len(value) == len(example) and all(map(_is_like, value, example))
    return type(value) is type(example) or (type(value) is int and type(example) is float)
