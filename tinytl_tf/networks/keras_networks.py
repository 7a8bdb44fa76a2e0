"""Tested networks of Keras Applications. Does not use TensorFlow or Keras."""

import dataclasses

__all__ = ["KERAS_NETWORKS", "KerasNetwork"]


@dataclasses.dataclass(frozen=True)
class KerasNetwork:
    """A network of `keras.applications`.

    Attributes:
        name: name of the network, as passed to `tinytl_tf.backbones.build`.
        resolution: height and width of the images that its weights were trained on, in pixels.
        parameters: number of parameters, without the classifier and without statistics of norms.
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
