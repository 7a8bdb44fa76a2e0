"""Makes the model that the page opens first: general features, and room for classes that a person adds.

EfficientNet-Lite0 with ImageNet weights at 128 pixels. Only its last layer trains, so a step costs little more than an
inference; the file has 4.2 MB with int8 kernels. The two own classes have names of no meaning: a class with another
name takes one of the spare outputs.

Needs `pip install -e ".[quickstart]"` from the root of the repository, for the weights. Run there:

    python export/web/scripts/make_model.py
"""

import pathlib
import sys

import tinytl_tf as tiny

RESOLUTION = 128
LABELS = ("class 1", "class 2")
SPARE_CLASSES = 14
LEARNING_RATE = 3e-3


def make(path: str) -> None:
    """Writes the model to `path`, and its manifest next to it."""
    model = tiny.build("efficientnet_lite0", classes=len(LABELS), resolution=RESOLUTION, dropout=0.0, seed=0)
    tiny.apply_scheme(model, "last")
    tiny.export_model(
        model,
        path,
        labels=LABELS,
        spare_classes=SPARE_CLASSES,
        optimizer="adam",
        learning_rate=LEARNING_RATE,
        save_optimizer=True,
        frozen_weights="int8",
        overwrite=True,
    )


if __name__ == "__main__":
    page = pathlib.Path(__file__).parents[3] / "tinytl_tf" / "web" / "model" / "general.tflite"
    make(sys.argv[1] if len(sys.argv) > 1 else str(page))
