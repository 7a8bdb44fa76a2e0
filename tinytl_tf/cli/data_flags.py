"""Flags shared by the commands that run an exported file on a data set."""

from absl import flags

from tinytl_tf import data
from tinytl_tf.device import TrainableModel
from tinytl_tf.errors import InputError

__all__ = ["define_data_flags", "load_data"]


def define_data_flags(values: flags.FlagValues) -> None:
    """Defines --split_seed, --test_images, --central_fraction, --skip_broken and --strict."""
    flags.DEFINE_integer(
        "split_seed",
        None,
        "Seed of the test split of a folder without splits; default: the manifest's or the run's.",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_integer("test_images", None, "Limit on the number of test images.", lower_bound=1, flag_values=values)
    flags.DEFINE_float(
        "central_fraction",
        None,
        "Central fraction of each image's side to evaluate; default: the manifest's or the run's.",
        flag_values=values,
    )
    flags.DEFINE_boolean("skip_broken", False, "Skip images that cannot be read.", flag_values=values)
    flags.DEFINE_boolean(
        "strict",
        False,
        "Fail if test images are also training images; by default, a warning lists them.",
        flag_values=values,
    )


def load_data(values: flags.FlagValues, model: TrainableModel, train_images: int | None = None) -> data.Splits:
    """Opens the images or arrays of `--data`, with the settings of the flags, or by default those of the manifest.

    Args:
        values: The flags of the command, including those of `define_data_flags`.
        model: The model to load the data for.
        train_images: Number of training images to use; None for all.

    Raises:
        InputError: If the model takes arrays without a sample rate and the data are not a packed `.npz`, or as
            `tinytl_tf.data.load` does.
    """
    waveform = {}
    if model.sample_rate:
        waveform = {"samples": model.input_shape[0], "sample_rate": model.sample_rate}
    elif model.input_name == "array" and not values.data.lower().endswith(".npz"):
        raise InputError(
            f"expected a packed .npz for a model of arrays {list(model.input_shape)} without a sample rate, got "
            f"{values.data}; pack the arrays with numpy.savez"
        )
    splits = data.load(
        values.data,
        **waveform,
        seed=values.split_seed,
        default_seed=model.split_seed,
        train_images=train_images,
        test_images=values.test_images,
        skip_broken=values.skip_broken,
        strict=values.strict,
    )
    splits.warn_of_other_split(model.split)
    return splits
