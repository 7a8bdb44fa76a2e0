"""TinyTL in Keras: train biases and lite residuals, export a `.tflite` that keeps training on a device.

The complete workflow. `photos` and `new_photos` are raw RGB pixels, uint8 `[n, 96, 96, 3]`; `labels` and `new_labels`
are their classes, int32 `[n]`.

    import keras
    import tinytl_tf as tiny

    # Build: a frozen network with pre-trained weights, and the choice of trained variables.
    model = tiny.build("mobilenet_v2", classes=3, resolution=96)
    print(tiny.apply_scheme(model, "tinytl-b"))

    # Fit: it is a Keras model like any other; it ends with logits.
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    stop = keras.callbacks.EarlyStopping("loss", patience=2)
    model.fit(photos, labels, batch_size=8, epochs=2, callbacks=[stop], verbose=0)

    # Export: `flowers.tflite` and `flowers.manifest.json`, checked against TensorFlow.
    tiny.export_model(model, "flowers.tflite", labels=["daisy", "rose", "tulip"], batch_size=4)

    # Adapt: on the device, with LiteRT and numpy only.
    device = tiny.TrainableModel("flowers.tflite")
    for start in range(0, len(new_photos), device.batch_size):
        batch = slice(start, start + device.batch_size)
        result = device.train(new_photos[batch], new_labels[batch], learning_rate=1e-2)
    device.save("mine.tinytl")

    # Bring back: the device's state into the Keras model, which can be exported again.
    tiny.load_state(model, "mine.tinytl", "flowers.tflite")

To use a Keras model of your own, replace `tiny.build(...)` with `tiny.from_keras(model, classes=3)`.

Modules are imported when their names are used: importing this package, or `tinytl_tf.device`, does not import
TensorFlow, because a board does not have it. The export function is called `export_model` here, because
`tinytl_tf.export` is its package.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

# Public name -> the module that defines it, and its name there.
_PUBLIC = {
    "SCHEMES": ("tinytl_tf.networks.schemes", "SCHEMES"),
    "TrainableModel": ("tinytl_tf.device", "TrainableModel"),
    "apply_scheme": ("tinytl_tf.backbones.scheme", "apply_scheme"),
    "average_states": ("tinytl_tf.state", "average_states"),
    "build": ("tinytl_tf.backbones", "build"),
    "export_model": ("tinytl_tf.export", "export"),
    "from_keras": ("tinytl_tf.backbones.from_keras", "from_keras"),
    "get_scheme": ("tinytl_tf.networks.schemes", "get_scheme"),
    "list_networks": ("tinytl_tf.networks.listing", "list_networks"),
    "load_state": ("tinytl_tf.state", "load_state"),
    "plot_history": ("tinytl_tf.curves", "plot_history"),
}
_PACKAGES = ("data", "export", "layers")

__all__ = [
    "SCHEMES",
    "TrainableModel",
    "apply_scheme",
    "average_states",
    "build",
    "data",
    "export",
    "export_model",
    "from_keras",
    "get_scheme",
    "layers",
    "list_networks",
    "load_state",
    "plot_history",
]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    value = globals()[name] = getattr(importlib.import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
