"""`tinytl export --target=coral`: a prefix for the Edge TPU, a suffix that trains, and the complete network."""

import dataclasses
import math
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from absl import flags
from ml_collections import ConfigDict

from tinytl_tf.cli import runner
from tinytl_tf.cli.target import Export, Target
from tinytl_tf.errors import InputError
from tinytl_tf.networks.branches import BRANCHES, chosen_places
from tinytl_tf.networks.schemes import Scheme, get_scheme, trained_by
from tinytl_tf.networks.spec import CLASSIFIER, NetworkSpec
from tinytl_tf.tflite.coral_manifest import coral_files

if TYPE_CHECKING:
    from tinytl_tf.data import Splits

__all__ = ["AUTO", "CALIBRATION_IMAGES", "CoralTarget", "define_flags", "restrict"]

AUTO = "auto"
CALIBRATION_IMAGES = 128  # photos to measure quantization ranges with; fewer if the data set is smaller


def define_flags(values: flags.FlagValues) -> None:
    """Defines --split and --budget_mb."""
    flags.DEFINE_string(
        "split",
        None,
        f"coral: first place computed on the CPU, for example block_1 or {CLASSIFIER}; auto: chosen by measurement.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "budget_mb", None, "coral, with --split=auto: memory in MB for training the suffix.", flag_values=values
    )


def restrict(config: ConfigDict, split: str) -> None:
    """Restricts the scheme of a configuration to the split and the places after it.

    Args:
        config: The configuration; it is modified.
        split: Name of the first place of the suffix.

    Raises:
        InputError: If the network has no such place, if the scheme cannot be restricted, or if it would train
            nothing other than the classifier after the split.
    """
    from tinytl_tf.experiment import drop_useless_rate_factors, network_of

    spec = network_of(config)
    places = (*spec.places, CLASSIFIER)
    if split not in places[1:]:
        raise InputError(f"expected --split to be one of {', '.join(places[1:])}, got {split!r:.80}")
    scheme, late = get_scheme(config.scheme), places[places.index(split) :]
    if not scheme.can_restrict:
        raise InputError(
            "expected --scheme of last, tinytl-b, tinytl-l, tinytl-lb or sparse-update for --target=coral, got "
            f"{scheme.name}, which cannot be kept to some places"
        )
    options = {entry.partition(":")[0]: entry for entry in config.kernels}
    config.biases = config.kernels = config.branches = config.lite_residuals = ()
    for kind, places_of_kind in _places_by_kind(spec, scheme).items():
        config[kind] = tuple(place for place in late if place in places_of_kind)
        if not config[kind]:
            what = BRANCHES[scheme.branch].title if scheme.branch and kind != "biases" else kind
            raise InputError(
                f"scheme {scheme.name} has no {what} from {split!r} on; choose an earlier --split, or --scheme=last"
            )
    config.kernels = tuple(options.get(place, place) for place in config.kernels)
    drop_useless_rate_factors(config)


def _places_by_kind(spec: NetworkSpec, scheme: Scheme) -> dict[str, set[str]]:
    """Returns the places that a scheme trains, by the key of the configuration that restricts them."""
    trained = trained_by(scheme.of(spec), spec.variables)
    own = [v for v in spec.variables if v.path in trained and v.place != CLASSIFIER]
    places = {}
    if scheme.biases:
        places["biases"] = {variable.place for variable in own if variable.role != "kernel"}
    if scheme.kernels:
        places["kernels"] = {variable.place for variable in own if variable.role == "kernel"}
    if scheme.branch:
        key, choice = "lite_residuals" if scheme.lite_residual else "branches", dict(scheme.branch_choice)
        places[key] = {*chosen_places(spec, scheme.branch, **({"places": True} | choice))}
    return places


def _table(outcome: Any, budget_mb: float) -> str:
    """Returns the measurements, one line per split, and the chosen split."""
    lines = [f"\n{'split':12s} {'growth MB':>9s}  held-out accuracy"]
    for trial in outcome.trials:
        judged = "does not fit" if trial.accuracy is None else f"{trial.accuracy:.2%}"
        mark = "  chosen" if trial.place == outcome.place else ""
        lines.append(f"{trial.place:12s} {trial.growth_bytes / 1e6:9.1f}  {judged}{mark}")
    return "\n".join([*lines, f"chosen: {outcome.place}, the best on held-out images within {budget_mb:g} MB\n"])


class CoralTarget(Target):
    """An int8 prefix for the Edge TPU compiler, a suffix that trains on its features, and the complete network."""

    name = "coral"
    own_flags = ("split", "budget_mb")
    replaced = (("frozen_weights",), "with --target=coral, whose prefix is int8 and whose suffix float32")
    always_needs_photos = True
    remedy_for_other_data = "use the same data"

    def check(self, values: flags.FlagValues) -> None:
        """Rejects a split that is missing or conflicts with other flags."""
        super().check(values)
        if not values.split:
            raise InputError(
                f"expected --split=PLACE for --target=coral, for example block_13, or --split={AUTO}; got none"
            )
        if (values.split == AUTO) != (values.budget_mb is not None):
            raise InputError(f"expected --split={AUTO} and --budget_mb=MB together, got one of them")
        if values.budget_mb is not None and not 0 < values.budget_mb < math.inf:
            raise InputError(f"expected a finite --budget_mb above 0, got {values.budget_mb}")
        if values.split == AUTO and values.scheme is None:
            raise InputError(
                f"expected --scheme with --split={AUTO}: it is applied from each split on that is tried; got none"
            )
        if values.split == AUTO and values.state is not None:
            raise InputError(f"expected --split=PLACE with --state, got {AUTO}: a state belongs to given places")

    def written(self, output: str) -> list[pathlib.Path | str]:
        """Returns the paths of the files to write."""
        return list(coral_files(output).values())

    def restrict(self, values: flags.FlagValues, config: ConfigDict) -> None:
        """Restricts the scheme of `--scheme` to `--split` and the places after it."""
        if values.scheme is not None and values.split != AUTO:
            restrict(config, values.split)

    def choose(
        self, values: flags.FlagValues, config: ConfigDict, splits: "Splits | None", make_model: Callable
    ) -> tuple[ConfigDict, dict[str, Any]]:
        """Chooses the split for `--split=auto`, and stores it in the flags."""
        if values.split != AUTO:
            return config, {}
        from tinytl_tf.planning.split_search import choose_split
        from tinytl_tf.profiles import get_profile

        print(f"splits that train within {values.budget_mb:g} MB:", flush=True)
        outcome = choose_split(
            config,
            splits,
            budget_bytes=round(min(values.budget_mb * 1e6, runner.MOST)),
            restrict=restrict,
            make_model=make_model,
            optimizer=values.optimizer,
            batch_size=values.batch_size,
            profile=get_profile(values.profile),
        )
        print(_table(outcome, values.budget_mb), flush=True)
        values["split"].value = outcome.place
        rows = [
            {"split": trial.place, "growth_mb": trial.growth_bytes / 1e6, "held_out_accuracy": trial.accuracy}
            for trial in outcome.trials
        ]
        choice = {"budget_mb": values.budget_mb, "chosen": outcome.place, "splits": rows}
        return outcome.config, {"choice": choice}

    def write(self, values: flags.FlagValues, ready: Export) -> dict[str, Any]:
        """Writes the three files and `coral.json`, and prints a report. The prefix is calibrated on training images."""
        from tinytl_tf.export.coral import export_coral

        count = min(CALIBRATION_IMAGES, len(ready.splits.train))
        photos, _ = ready.experiment.plain_batches(ready.splits.train, 1, count)
        result = export_coral(
            ready.model,
            values.output,
            split=values.split,
            calibration=photos[:, 0],
            profile=values.profile,
            **self.common_options(values, ready),
        )
        coral, paths = result.coral, self.written(values.output)
        shape = "x".join(map(str, coral.features.shape))
        print(
            f"wrote {', '.join(coral.files.values())} and {paths[-1].name} into {paths[-1].parent}\n"
            f"features of an image: {shape} int8, {coral.snr_db['prefix']:.1f} dB signal to noise over {count} photos\n"
            f"suffix: planned training peak {result.suffix.planned_peak_bytes['train'] / 1e6:.2f} MB, whole file "
            f"{result.model.planned_peak_bytes['train'] / 1e6:.2f} MB\n"
            f"next: edgetpu_compiler {coral.files['prefix']}, not part of this package; nothing was compiled here"
        )
        for remark in coral.lint:
            print(f"the compiler may leave a part to the CPU: {remark}")
        return {
            "output": values.output,
            "coral": dataclasses.asdict(coral),
            "suffix": dataclasses.asdict(result.suffix),
            "model": dataclasses.asdict(result.model),
        }
