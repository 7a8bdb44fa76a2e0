"""Exported files of the tiny network for TensorFlow Lite Micro, each converted once for all tests."""

import dataclasses
import hashlib
import pathlib

from tests import made, tiny_network
from tests.export.conftest import LABEL_SMOOTHING, TILE_BYTES
from tinytl_tf.export.build import finish_micro_file
from tinytl_tf.export.convert import convert
from tinytl_tf.export.manifest import describe
from tinytl_tf.export.micro import micro_facts
from tinytl_tf.export.micro_module import MicroModule
from tinytl_tf.export.packing import state_entries
from tinytl_tf.files import atomic_write_bytes
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.profiles import PROFILES
from tinytl_tf.tflite.manifest import DataSettings, frozen_sha256, manifest_path

BATCH = 8
# Tiles and vectors as small against the tiny network as the real ones against a real network.
PROFILE = dataclasses.replace(PROFILES["micro"], tile_bytes=TILE_BYTES, infer_tile_bytes=TILE_BYTES, vector_bytes=256)


def _module(model, optimizer: str, save_optimizer: bool) -> MicroModule:
    return MicroModule(
        model,
        model.trainable_variables,
        optimizer=get_optimizer(optimizer),
        label_smoothing=LABEL_SMOOTHING,
        save_optimizer=save_optimizer,
        profile=PROFILE,
    )


@made.once
def converted(scheme: str, optimizer: str, save_optimizer: bool = False, **build: tuple[str, ...]) -> bytes:
    """A file before passes; `build` are options of the network."""
    return convert(_module(tiny_network.build(scheme, **build), optimizer, save_optimizer))


def micro_file(
    scheme: str, optimizer: str, save_optimizer: bool = False, state_of: str = "", **build: tuple[str, ...]
) -> pathlib.Path:
    """A file with its manifest, without the parity check of an export."""
    case = (scheme, optimizer, save_optimizer, state_of, build)
    return (
        made.folder(
            f"micro_{hashlib.sha256(repr(case).encode()).hexdigest()[:16]}", lambda folder: _write(folder, *case)
        )
        / "model.tflite"
    )


def _write(folder: pathlib.Path, scheme: str, optimizer: str, save_optimizer: bool, state_of: str, build: dict) -> None:
    model, rule = tiny_network.build(scheme, **build), get_optimizer(optimizer)
    content, passes = finish_micro_file(converted(scheme, optimizer, save_optimizer, **build))
    path = folder / "model.tflite"
    path.write_bytes(content)
    manifest = describe(
        content,
        labels=tiny_network.LABELS,
        spare_classes=0,
        task="classification",
        data=DataSettings(),
        central_fraction=1.0,
        backbone=model.name,
        scheme=scheme,
        optimizer=optimizer,
        label_smoothing=LABEL_SMOOTHING,
        profile="micro",
        xnnpack=False,
        frozen_weights="float32",
        state=state_entries(model.trainable_variables, rule, save_optimizer),
        frozen_sha256=frozen_sha256({v.path: v.numpy() for v in model.non_trainable_weights}),
        passes=passes,
        batch_size=BATCH,
        parity={},
        micro=micro_facts(content, state_of),
    )
    atomic_write_bytes(manifest_path(path), manifest.to_json().encode())
