"""Tested networks of Keras Applications. Uses no framework."""

import dataclasses

__all__ = ["KERAS_NETWORKS", "KerasNetwork"]


@dataclasses.dataclass(frozen=True)
class KerasNetwork:
    """A constructor of `keras.applications`.

    Attributes:
        name: as `tinytl_tf.backbones.build` takes it.
        resolution: pixels of a side of the images that its weights were trained on.
        parameters: their number without a classifier and without statistics.
    """

    name: str
    resolution: int
    parameters: int


KERAS_NETWORKS = tuple(
    KerasNetwork(f"keras:{name}", resolution, parameters)
    for name, resolution, parameters in (
        ("MobileNetV3Small", 224, 927_008),
        ("MobileNetV3Large", 224, 2_971_952),
        ("EfficientNetB0", 224, 4_007_548),
        ("EfficientNetB1", 240, 6_513_184),
        ("EfficientNetB2", 260, 7_700_994),
        ("EfficientNetB3", 300, 10_696_232),
        ("EfficientNetV2B0", 224, 5_858_704),
        ("ConvNeXtTiny", 224, 27_820_128),
        ("ResNet50", 224, 23_508_032),
        ("InceptionV3", 299, 21_768_352),
        ("DenseNet121", 224, 6_953_856),
        ("Xception", 299, 20_806_952),
    )
)
