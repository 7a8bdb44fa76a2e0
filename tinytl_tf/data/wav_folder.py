"""Folders of WAV files: one subfolder per class, as in image folders."""

import os
import pathlib

import numpy as np

from tinytl_tf.data.array_dataset import ArrayDataset
from tinytl_tf.data.folder import FolderReader, file_digest, load_with
from tinytl_tf.data.splits import Splits
from tinytl_tf.data.wav import check_wav, read_wav
from tinytl_tf.errors import InputError

__all__ = ["load_wav_folder"]


def load_wav_folder(path: str | os.PathLike, *, samples: int, sample_rate: int, seed: int = 0) -> Splits:
    """Finds the files of a folder of mono 16-bit PCM WAV files, with the layouts of an image folder; see `load_folder`.

    Args:
        path: the folder.
        samples: number of samples in each waveform; a longer recording is cropped and a shorter one padded; see
            `read_wav`.
        sample_rate: required sample rate of each file; nothing is resampled.
        seed: chooses the test files of a flat folder.

    Returns:
        The sets of waveforms, float32 [samples], sorted by class and path.

    Raises:
        InputError: as for `load_folder`; or if `samples` or `sample_rate` is below 1.
    """
    for option, value in (("samples", samples), ("sample_rate", sample_rate)):
        if type(value) is not int or value < 1:
            raise InputError(f"expected {option} to be an integer of 1 or more, got {value!r:.80}")
    return load_with(lambda root: _WavReader(root, samples, sample_rate), path, seed)


class _WavReader(FolderReader):
    kind, items, suffixes = "WAV folder", "WAV files", (".wav",)

    def __init__(self, root: pathlib.Path, samples: int, sample_rate: int) -> None:
        super().__init__(root)
        self._samples, self._sample_rate = samples, sample_rate

    def prepare(self, paths: list[pathlib.Path]) -> None:
        pass  # nothing depends on all files

    def make(self, root: pathlib.Path, names: list[str], labels: np.ndarray, paths: list[pathlib.Path]) -> ArrayDataset:
        return ArrayDataset(
            f"{self.kind} {root}",
            names,
            labels,
            lambda index: read_wav(paths[index], self._samples, self._sample_rate),
            (self._samples,),
            sample_rate=self._sample_rate,
            check=lambda index: check_wav(paths[index], self._sample_rate),
            digest=lambda index: file_digest(paths[index]),
            decoding=f"{self._samples} samples",
            sources=[str(path) for path in paths],
            sizes=[path.stat().st_size for path in paths],
        )
