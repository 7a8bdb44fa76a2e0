"""A trainable .tflite small enough to build in a second: softmax regression on 4x4 images, without the exporter."""

import dataclasses
import tempfile

from tests import made
from tinytl_tf.files import sha256
from tinytl_tf.tflite.manifest import DataSettings, InputSettings, Manifest, StateEntry

BATCH, SIZE, CLASSES = 2, 4, 3
STATE_SIZE = SIZE * SIZE * 3 * CLASSES + CLASSES
LABELS = ["red", "green", "blue"]


def _module():
    import tensorflow as tf

    features = SIZE * SIZE * 3
    train_inputs = [
        tf.TensorSpec([BATCH, SIZE, SIZE, 3], tf.uint8, name="image"),
        tf.TensorSpec([BATCH], tf.int32, name="label"),
        tf.TensorSpec([1], tf.float32, name="learning_rate"),
    ]

    class SoftmaxRegression(tf.Module):
        def __init__(self):
            self.kernel = tf.Variable(tf.zeros([features, CLASSES]))
            self.bias = tf.Variable(tf.zeros([CLASSES]))

        def logits(self, image):
            scaled = tf.reshape(tf.cast(image, tf.float32) / 127.5 - 1.0, [-1, features])
            return tf.matmul(scaled, self.kernel) + self.bias

        @tf.function(input_signature=[tf.TensorSpec([1, SIZE, SIZE, 3], tf.uint8, name="image")])
        def infer(self, image):
            logits = self.logits(image)
            return {"logits": logits, "probabilities": tf.nn.softmax(logits)}

        @tf.function(input_signature=train_inputs)
        def train(self, image, label, learning_rate):
            variables = [self.kernel, self.bias]
            one_hot = tf.one_hot(label, CLASSES)
            with tf.GradientTape() as tape:
                logits = self.logits(image)
                loss = tf.reduce_mean(-tf.reduce_sum(one_hot * tf.nn.log_softmax(logits), -1))
            updates = [learning_rate * g for g in tape.gradient(loss, variables)]
            # Not `u * 0 == 0`: the converter folds it. A comparison with a NaN is false.
            finite = tf.abs(loss) + tf.reduce_sum([tf.reduce_sum(tf.abs(u)) for u in updates]) < 3e38
            for variable, update in zip(variables, updates, strict=True):
                variable.assign(variable - tf.where(finite, update, tf.zeros_like(update)))
            right = tf.equal(tf.argmax(logits, -1, tf.int32), label)
            return {
                "loss": tf.reshape(loss, [1]),
                "accuracy": tf.reduce_mean(tf.cast(right, tf.float32), keepdims=True),
                "applied": tf.cast(tf.reshape(finite, [1]), tf.int32),
            }

        @tf.function(input_signature=[tf.TensorSpec([1, SIZE, SIZE, 3], tf.uint8, name="image")])
        def infer_attributes(self, image):
            logits = self.logits(image)
            return {"logits": logits, "probabilities": tf.nn.sigmoid(logits)}

        @tf.function(
            input_signature=[
                train_inputs[0],
                tf.TensorSpec([BATCH, CLASSES], tf.float32, name="label"),
                train_inputs[2],
            ]
        )
        def train_attributes(self, image, label, learning_rate):
            variables = [self.kernel, self.bias]
            with tf.GradientTape() as tape:
                logits = self.logits(image)
                loss = tf.reduce_mean(tf.math.softplus(logits) - label * logits)
            for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
                variable.assign(variable - learning_rate * gradient)
            right = tf.equal(logits > 0, label > 0.5)
            return {
                "loss": tf.reshape(loss, [1]),
                "accuracy": tf.reshape(tf.reduce_mean(tf.cast(right, tf.float32)), [1]),
                "applied": tf.ones([1], tf.int32),
            }

        @tf.function(input_signature=[])
        def save(self):
            return {"state": tf.concat([tf.reshape(self.kernel, [-1]), self.bias], 0)}

        @tf.function(input_signature=[])
        def save_too_little(self):
            return {"state": tf.concat([tf.reshape(self.kernel, [-1]), self.bias[1:]], 0)}

        @tf.function(input_signature=[tf.TensorSpec([STATE_SIZE], tf.float32, name="state")])
        def restore(self, state):
            self.kernel.assign(tf.reshape(state[:-CLASSES], [features, CLASSES]))
            self.bias.assign(state[-CLASSES:])
            return {"restored": tf.ones([1], tf.int32)}

        @tf.function(input_signature=[])
        def reset(self):
            self.kernel.assign(tf.zeros([features, CLASSES]))
            self.bias.assign(tf.zeros([CLASSES]))
            return {"restored": tf.ones([1], tf.int32)}

        @tf.function(input_signature=[train_inputs[0], train_inputs[1], tf.TensorSpec([], tf.float32, "learning_rate")])
        def train_of_contract_1(self, image, label, learning_rate):
            outputs = self.train(image, label, tf.reshape(learning_rate, [1]))
            return {name: tf.reshape(value, []) for name, value in outputs.items()}

        @tf.function(input_signature=[tf.TensorSpec([SIZE, SIZE], tf.float32, name="image")])
        def invert(self, image):
            return {"logits": tf.linalg.inv(image)}

    return SoftmaxRegression()


SIGNATURES = ("infer", "train", "save", "restore")
ATTRIBUTES = ("infer_attributes", "train_attributes", "save", "restore")  # in place of these, with several attributes


@made.once
def build(methods=SIGNATURES, names=None, operators=("TFLITE_BUILTINS",)):
    """Bytes of a .tflite whose signatures are `methods` of the tiny model, called `names`."""
    import tensorflow as tf

    module, names = _module(), list(names or methods)
    with tempfile.TemporaryDirectory() as folder:
        signatures = {name: getattr(module, method) for name, method in zip(names, methods, strict=True)}
        tf.saved_model.save(module, folder, signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=names)
        converter.target_spec.supported_ops = [tf.lite.OpsSet(name) for name in operators]
        return converter.convert()


def write_manifest(path, labels, **changes):
    """Writes a manifest that belongs to the file at `path`, and returns it."""
    manifest = Manifest(
        labels=tuple(labels),
        spare_classes=0,
        task="classification",
        input=InputSettings("uint8", (SIZE, SIZE), (0, 255), "RGB", 0.875),
        data=DataSettings(),
        backbone="linear",
        scheme="full",
        optimizer="sgd",
        batch_size=BATCH,
        label_smoothing=0.0,
        profile="balanced",
        xnnpack=True,
        frozen_weights="float32",
        signatures={},
        state=(
            StateEntry("kernel", (SIZE * SIZE * 3, CLASSES), 0),
            StateEntry("bias", (CLASSES,), STATE_SIZE - CLASSES),
        ),
        sizes={},
        operators=(),
        min_runtime_version="2.7.0",
        planned_peak_bytes={},
        passes={},
        sha256=sha256(path),
        tools={},
        parity={},
        tolerances={},
    )
    manifest = dataclasses.replace(manifest, **changes)
    manifest.write(path)
    return manifest
