"""Keras' standard test for layers: configuration, shapes, dtypes, saving and a compiled step of `fit`."""

import warnings

from keras.src.testing import TestCase

__all__ = ["run_layer_test"]


class _Case(TestCase):
    def runTest(self):  # noqa: N802, the name of unittest
        pass


def run_layer_test(layer_class, init_kwargs, input_shape, expected_output_shape):
    case = _Case()
    case.setUp()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`shuffle=True` was passed")  # by that test to its own generator
        warnings.filterwarnings("ignore", "The model does not have any trainable weights")
        case.run_layer_test(
            layer_class, init_kwargs=init_kwargs, input_shape=input_shape, expected_output_shape=expected_output_shape
        )
