"""TinyTL in Keras: train biases and lite residuals, export a `.tflite` that goes on training on a device.

Importing this package, or `tinytl_tf.device`, does not import TensorFlow: a board has none.
"""

__version__ = "0.1.0"
