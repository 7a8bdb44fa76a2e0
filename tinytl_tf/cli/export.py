"""Writes a .tflite that goes on training on a device, from a finished run or from pre-trained weights.

The file is checked before it is written: builtin operators alone, and training steps that equal TensorFlow's. A
manifest with labels, signatures, sizes and the figures of that check is written into its folder.

Examples:
  tinytl export --workdir=runs/digits --output=digits.tflite
  tinytl export --config=digits --scheme=tinytl-b --output=start.tflite
  tinytl export --workdir=runs/digits --state=mine.tinytl --state_model=digits.tflite --output=learnt.tflite
  tinytl export --workdir=runs/digits --target=micro --output=firmware.tflite
  tinytl export --workdir=runs/digits --target=android --output=export/android/sample/src/main/assets/model.tflite
"""

import dataclasses
import json
import math
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

from absl import flags

from tinytl_tf import files
from tinytl_tf.cli import android, coral, runner
from tinytl_tf.cli.train import define_config, refuse_continue, set_config
from tinytl_tf.errors import InputError
from tinytl_tf.networks.schemes import SCHEMES
from tinytl_tf.optimizers import OPTIMIZERS
from tinytl_tf.profiles import FROZEN_WEIGHTS, PROFILES
from tinytl_tf.state import load_state, read_class_names, read_variables
from tinytl_tf.tflite.manifest import Manifest, manifest_path

__all__ = []


def define_flags(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines the flags of the command."""
    define_config(values, argv)
    flags.DEFINE_string("workdir", None, "Folder of a run of `tinytl train`; or give --config.", flag_values=values)
    flags.DEFINE_enum("checkpoint", "last", ["best", "last"], "Which one of the run.", flag_values=values)
    flags.DEFINE_string("output", None, "The .tflite to write.", flag_values=values, required=True)
    flags.DEFINE_enum(
        "target",
        "file",
        ["file", "android", "coral", "micro"],
        "android: into an app's folder assets, with labels.txt; refuses what does not fit a phone. coral: an int8 "
        "prefix for the Edge TPU's compiler, a suffix that trains on its features, and the whole file. micro: for "
        "TensorFlow Lite Micro, with a header and the file as an array in C.",
        flag_values=values,
    )
    coral.define_flags(values)
    flags.DEFINE_enum("scheme", None, list(SCHEMES), "What the device trains; default: the run's.", flag_values=values)
    flags.DEFINE_enum("optimizer", "sgd", list(OPTIMIZERS), "The device's optimizer.", flag_values=values)
    flags.DEFINE_integer("batch_size", 8, "Images of a step on the device.", lower_bound=1, flag_values=values)
    flags.DEFINE_float("label_smoothing", 0.0, "Of the device's loss, in [0, 1).", flag_values=values)
    flags.DEFINE_enum(
        "frozen_weights", "float32", list(FROZEN_WEIGHTS), "Type of the frozen kernels.", flag_values=values
    )
    flags.DEFINE_enum(
        "profile",
        "balanced",
        list(PROFILES),
        "min-memory: small channel tiles, for use without XNNPACK; balanced: larger ones, with XNNPACK; fast: none.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "spare_classes", 0, "Room for classes that are added on the device.", lower_bound=0, flag_values=values
    )
    flags.DEFINE_boolean("save_optimizer", False, "Keep the optimizer's slots in the state.", flag_values=values)
    flags.DEFINE_float(
        "max_planned_mb",
        None,
        "Refuse a file whose training step is planned to take more; default: "
        f"{android.MAX_PLANNED_MB:g} for android, else no limit.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "state_of", None, "With --target=micro: an exported .tflite to share state files with.", flag_values=values
    )
    flags.DEFINE_string("state", None, "A device's .tinytl; what it learnt is in the new file.", flag_values=values)
    flags.DEFINE_list("rename", [], "OLD=NEW,...: other names of classes in the new file.", flag_values=values)
    flags.DEFINE_string("state_model", None, "The .tflite that --state was saved from.", flag_values=values)


def main(values: flags.FlagValues) -> dict[str, Any]:
    """Runs the command; returns what --json holds."""
    if (values.workdir is None) == (values.config is None):
        raise InputError("expected either --workdir=FOLDER of a run or --config=FILE for pre-trained weights")
    if values.config is not None:
        runner.refuse_unused(values, ("checkpoint",), "with --config, which names no run")
        set_config(values)
        refuse_continue(values)
    else:
        runner.refuse_unused(values, ("branch_weights",), "with --workdir, whose run has branches of its own")
    if (values.state is None) != (values.state_model is None):
        raise InputError("expected --state=FILE.tinytl and --state_model=FILE.tflite together, got one of them")
    is_android, is_micro, is_coral = values.target == "android", values.target == "micro", coral.check(values)
    if is_android:
        android.check(values)
    max_planned_mb = android.MAX_PLANNED_MB if is_android else None
    if values.max_planned_mb is not None:
        max_planned_mb = values.max_planned_mb
        if not 0 < max_planned_mb < math.inf:
            raise InputError(f"expected a finite --max_planned_mb above 0, got {max_planned_mb:g}")
    if is_micro:
        runner.refuse_unused(values, ("profile", "frozen_weights"), "with --target=micro, which has its own")
    else:
        runner.refuse_unused(values, ("state_of",), "without --target=micro")
    written = [values.output, manifest_path(values.output)]
    if is_android:
        written.append(android.labels_path(values.output))
    if is_coral:
        written = coral.written(values.output)
    for path in written:
        files.refuse_existing(path, values.overwrite)
    if values.state is not None:
        read_variables(values.state, values.state_model)  # before anything slow

    runner.import_tensorflow()
    from tinytl_tf.experiment import drop_useless_rate_factors
    from tinytl_tf.export import export
    from tinytl_tf.export.exporter import check_arguments, check_spare
    from tinytl_tf.export.spare_classes import with_spare_classes
    from tinytl_tf.training import Experiment, RunFolder

    if values.workdir is not None:
        folder = RunFolder(values.workdir)
        run = folder.read_run()
        config, class_names, task = run.config, run.class_names, run.task
    else:
        folder, config = None, values.config
    if values.scheme not in (None, config.scheme):
        config.scheme, config.biases, config.branches, config.lite_residuals = values.scheme, (), (), ()
        if folder is not None:  # its network is the run's, and the run's rate that of another scheme
            config.backbone.branch_weights, config.training.learning_rate = "", 0.0
        drop_useless_rate_factors(config)
    if is_coral and values.scheme is not None and values.split != coral.AUTO:
        coral.restrict(config, values.split)
    experiment = Experiment(config)
    check_arguments(
        values.output,
        values.batch_size,
        values.label_smoothing,
        config.data.central_fraction,
        values.frozen_weights,
        values.spare_classes,
    )
    int8 = values.frozen_weights == "int8"
    needs_photos = int8 or is_coral
    if folder is None or needs_photos:
        splits = experiment.load_data(strict_seed=folder is None)
        print(splits.describe(), flush=True)
    if folder is None:
        class_names, task = splits.train.class_names, splits.train.task
    check_spare(values.spare_classes, task)
    if folder is not None:
        changed = run.changed_data(splits) if needs_photos else None
        if changed:
            remedy = "use the same data" if is_coral else "use the same data, or --frozen_weights=float32"
            raise InputError(
                f"cannot judge int8: the {changed} images are not those of the run: content, labels or order has "
                f"changed; {remedy}"
            )

    checkpoint = None

    def make_model(experiment: Experiment):
        if folder is None:
            return experiment.build_model(len(class_names))
        nonlocal checkpoint
        trained = folder.load(values.checkpoint)
        checkpoint = folder.checkpoint(values.checkpoint, trained)
        return experiment.adopt(trained)

    choice = {}
    if is_coral and values.split == coral.AUTO:
        experiment, choice = coral.choose(values, config, splits, lambda experiment: make_model(experiment)[0])
    model, resolution = make_model(experiment)
    if folder is None:
        print(experiment.describe_branches(model), end="", flush=True)
    else:
        print(checkpoint, flush=True)
    print(resolution, flush=True)
    facts = {"checkpoint": dataclasses.asdict(checkpoint)} if checkpoint else {}
    if values.state is not None:
        _check_classes(values.state_model, class_names, task)
        class_names = read_class_names(values.state, values.state_model)
        model = with_spare_classes(model, len(class_names) - model.output_shape[-1])
        load_state(model, values.state, values.state_model)
        print(f"the trained variables are those of {values.state}", flush=True)
    class_names = _renamed(class_names, values.rename)
    if is_coral:
        result = coral.write(model, values, experiment, splits, class_names, task)
        return {**result, **facts, **({"choice": choice} if choice else {})}
    manifest = export(
        model,
        values.output,
        labels=class_names,
        task=task,
        spare_classes=values.spare_classes,
        optimizer=values.optimizer,
        batch_size=values.batch_size,
        label_smoothing=values.label_smoothing,
        save_optimizer=values.save_optimizer or is_android,
        frozen_weights=values.frozen_weights,
        profile="" if is_micro else values.profile,
        target="micro" if is_micro else "litert",
        state_of=values.state_of,
        photos=experiment.plain_batches(splits.train, values.batch_size) if int8 else None,
        **experiment.client_settings(values.optimizer),
        max_planned_bytes=None if max_planned_mb is None else math.ceil(min(1e6 * max_planned_mb, runner.MOST)),
        overwrite=values.overwrite,
        verbose=True,
    )
    if is_android:
        android.write_labels(values.output, manifest.labels)
    if is_micro:
        _print_micro(values.output, manifest)
        return {"output": values.output, **facts, **json.loads(manifest.to_json())}
    sizes, parity = manifest.sizes, manifest.parity
    print(
        f"wrote {values.output}: {sizes['file_bytes'] / 1e6:.1f} MB, {len(manifest.operators)} kinds of builtin "
        f"operators, state of {sizes['state_bytes'] / 1e3:.1f} KB, planned training peak "
        f"{manifest.planned_peak_bytes['train'] / 1e6:.1f} MB\n"
        f"parity with TensorFlow over {parity['steps']} steps: losses within "
        f"{parity['xnnpack']['loss_difference']:.1e} with XNNPACK, "
        f"{parity['without_xnnpack']['loss_difference']:.1e} without"
    )
    if "int8" in parity:
        for name in ("xnnpack", "without_xnnpack"):
            figures = parity["int8"][name]
            worst, cosine = next(iter(figures["variables"].items()))
            print(
                f"int8 against float32 ({name}): loss within {figures['loss_difference']:.1e}, cosine of the gradient "
                f"{figures['cosine']:.4f}, of its worst variable ({worst}) {cosine:.3f}; all are in the manifest"
            )
    return {"output": values.output, **facts, **json.loads(manifest.to_json())}


def _renamed(class_names: Sequence[str], pairs: Sequence[str]) -> tuple[str, ...]:
    """Returns the names of the classes with those of `--rename` in their places."""
    new = {}
    for pair in pairs:
        old, equals, name = pair.partition("=")
        if not equals or old not in class_names or old in new:
            raise InputError(
                f"expected --rename=OLD=NEW,... with classes of {', '.join(class_names)}, each once, got {pair!r:.200}; "
                "names with a comma cannot be renamed"
            )
        new[old] = name
    return tuple(new.get(name, name) for name in class_names)


def _print_micro(output: str, manifest: Manifest) -> None:
    sizes, parity, arena = manifest.sizes, manifest.parity, manifest.micro["arena"]
    print(
        f"wrote {output} and its C files: {sizes['file_bytes'] / 1024:.0f} KB of flash, arena of "
        f"{arena['bytes'] / 1024:.0f} KB (tensors {arena['head_bytes'] / 1024:.0f}, variables and records "
        f"{arena['tail_bytes'] / 1024:.0f}), {len(manifest.micro['operators'])} operators to register, state of "
        f"{sizes['state_bytes'] / 1024:.0f} KB; 1 KB is 1024 bytes\n"
        f"parity with TensorFlow over {parity['steps']} steps in TensorFlow Lite Micro: losses within "
        f"{parity['micro']['loss_difference']:.1e}"
    )


def _check_classes(tflite: str, class_names: Sequence[str], task: str) -> None:
    """Refuses a state whose classifier has another task or other classes, or the same in another order."""
    manifest = Manifest.read(tflite)
    if manifest.task != task:
        raise InputError(
            f"expected a network for {manifest.task}, as in {tflite}, got one for {task}; give the run that it was "
            "exported from"
        )
    labels = manifest.labels
    names = tuple(unicodedata.normalize("NFC", name) for name in class_names)
    if labels != names:
        raise InputError(
            f"expected the classes {', '.join(names)} of the network in {tflite}, got {', '.join(labels)}; give the "
            "run that it was exported from"
        )


if __name__ == "__main__":
    sys.exit(runner.run_command("export", sys.argv[1:]))
