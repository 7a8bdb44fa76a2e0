"""The configuration of a run, as a config file whose parameter is the run's folder."""

from ml_collections import ConfigDict

__all__ = ["get_config"]


def get_config(folder: str) -> ConfigDict:
    """Returns the configuration of the run in a folder, without the run that it continued.

    Raises:
        InputError: If the folder holds no run.
    """
    from tinytl_tf.training.run_folder import RunFolder  # it imports TensorFlow

    config = RunFolder(folder).read_run().config
    config.training.continue_from = ""
    return config
