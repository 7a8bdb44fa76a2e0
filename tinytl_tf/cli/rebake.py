"""Writes a Coral board's state into the int8 file of the complete network, to be compiled again.

The export by `tinytl export --target=coral` must train only biases and the classifier. The new file is compared with
the float network on photos before it is written.

Example:
  tinytl rebake --model=boards/coral.json --state=mine.tinytl --data=photos/ --output=mine_int8.tflite
"""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from tinytl_tf import data, files
from tinytl_tf.cli import runner
from tinytl_tf.errors import InputError

__all__ = []


def define_flags(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines the flags of the command."""
    flags.DEFINE_string("model", None, "The coral.json of the export.", flag_values=values, required=True)
    flags.DEFINE_string("state", None, "State file of the suffix, .tinytl.", flag_values=values, required=True)
    flags.DEFINE_string(
        "data", None, "Images; ranges are measured on the training split.", flag_values=values, required=True
    )
    flags.DEFINE_integer("images", 128, "Number of training images to use.", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("split_seed", None, "Seed of a flat folder's test split.", lower_bound=0, flag_values=values)
    flags.DEFINE_boolean("skip_broken", False, "Skip images that cannot be read.", flag_values=values)
    flags.DEFINE_string("output", None, "The .tflite to write.", flag_values=values, required=True)


def main(values: flags.FlagValues) -> dict[str, Any]:
    """Runs the command; returns the result for --json."""
    from tinytl_tf.device import TrainableModel
    from tinytl_tf.device.coral import is_coral
    from tinytl_tf.device.rebake import rebake
    from tinytl_tf.tflite.coral_manifest import CoralManifest

    if not is_coral(values.model):
        raise InputError(f"expected --model=FOLDER/coral.json of an export for a board, got {values.model}")
    if not values.output.endswith(".tflite"):
        raise InputError(f"expected --output=FILE.tflite, got {values.output}")
    files.refuse_existing(values.output, values.overwrite)
    manifest = CoralManifest.read(values.model)
    suffix = TrainableModel(manifest.part(values.model, "suffix"))
    suffix.restore(values.state)
    splits = data.load(
        values.data, seed=values.split_seed, default_seed=suffix.split_seed, skip_broken=values.skip_broken
    )
    count = min(values.images, len(splits.train))
    print(f"{splits.train.describe()}\nranges are measured on {count} of them", flush=True)
    batches = data.train_batches(
        splits.train,
        batch_size=1,
        image_size=suffix.image_size,
        seed=0,
        epoch=0,
        augmentation=data.Augmentation(crop=False, flip=False),
        central_fraction=suffix.central_fraction,
    )
    photos = (images[0] for images, _ in (next(batches) for _ in range(count)))
    result = rebake(values.model, values.state, values.output, photos, overwrite=values.overwrite)
    print(
        f"wrote {values.output}: signal to noise of its logits {result.snr_db:.1f} dB against float over {count} "
        f"photos; {result.exported_snr_db:.1f} dB at the export\n"
        f"next: edgetpu_compiler {values.output}, not part of this package; nothing was compiled here"
    )
    for remark in result.lint:
        print(f"the compiler may leave a part to the CPU: {remark}")
    return {"output": values.output, **dataclasses.asdict(result)}


if __name__ == "__main__":
    sys.exit(runner.run_command("rebake", sys.argv[1:]))
