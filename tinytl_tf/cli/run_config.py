"""Config file that returns the configuration of an existing run; its parameter is the run's folder."""

from ml_collections import ConfigDict

__all__ = ["get_config"]


def get_config(folder: str) -> ConfigDict:
    """Returns the configuration of the run in a folder, with `training.continue_from` cleared.

    Raises:
        InputError: If the folder does not contain a run.
    """
    from tinytl_tf.training.run_folder import RunFolder  # imports TensorFlow

    config = RunFolder(folder).read_run().config
    config.training.continue_from = ""
    return config
