"""Small files with all features that matter to the memory accounts: convolutions, a loop, variables, views."""

import tempfile

from tests import made

BATCH, SIZE, CHANNELS, FILTERS = 4, 96, 8, 16
BIG = 3_000_000  # numbers
WIDE = 3072  # channels


def _module():
    import numpy as np
    import tensorflow as tf

    kernel = np.linspace(-1, 1, 3 * 3 * CHANNELS * FILTERS, dtype=np.float32).reshape(3, 3, CHANNELS, FILTERS)
    images = [tf.TensorSpec([BATCH, SIZE, SIZE, CHANNELS], tf.float32, name="image")]

    class Module(tf.Module):
        def __init__(self):
            self.bias = tf.Variable(tf.zeros([FILTERS]), name="bias")

        def activations(self, image):
            return tf.tanh(tf.nn.conv2d(image, kernel, 1, "SAME") + self.bias)

        @tf.function(input_signature=[tf.TensorSpec([1, SIZE, SIZE, CHANNELS], tf.float32, name="image")])
        def infer(self, image):
            """Straight: views, arithmetic in place, scratch in the arena and out of it."""
            y = self.activations(image)
            flat = tf.reshape(y, [1, SIZE * SIZE, FILTERS])
            mixed = tf.add_n([tf.exp(flat) * 2.0, tf.nn.softmax(flat), flat])
            gram = tf.matmul(mixed, mixed, transpose_a=True)
            back = tf.nn.conv2d_transpose(tf.reshape(mixed, y.shape), kernel, image.shape, 1)
            return {"gram": gram, "mean": tf.reduce_mean(back, [1, 2])}

        @tf.function(input_signature=images)
        def train(self, image):
            """A loop over the images of a batch, then an assignment."""

            def body(index, total):
                one = tf.gather(image, tf.reshape(index, [1]))
                y = self.activations(one)
                slope = 1.0 - y * y
                return index + 1, total + tf.reduce_sum(slope * y, [0, 1, 2])

            start = (tf.constant(0), tf.zeros([FILTERS]))
            _, total = tf.while_loop(lambda index, _: index < BATCH, body, start)
            self.bias.assign_sub(1e-3 * total)
            return {"total": total}

        @tf.function(input_signature=images)
        def train_sliced(self, image):
            """A loop whose slice the runtime can not plan."""

            def body(index, total):
                return index + 1, total + tf.reduce_sum(self.activations(image[index : index + 1]), [0, 1, 2])

            start = (tf.constant(0), tf.zeros([FILTERS]))
            _, total = tf.while_loop(lambda index, _: index < BATCH, body, start)
            return {"total": total}

        @tf.function(input_signature=[])
        def nothing(self):
            return {"one": tf.ones([])}

    return Module()


@made.once
def build():
    """Bytes of a .tflite with the signatures `infer`, `train`, `train_sliced` and `nothing`."""
    return _convert(_module(), ["infer", "train", "train_sliced", "nothing"])


@made.once
def build_dynamic_range():
    """Bytes of a .tflite with the signatures `infer` and `nothing`: float32 activations, all kernels int8."""
    import numpy as np
    import tensorflow as tf

    rng = np.random.default_rng(0)

    def weights(*shape):
        return rng.normal(size=shape).astype(np.float32)

    strided, pointwise, depthwise = weights(3, 3, CHANNELS, 24), weights(1, 1, 24, 64), weights(5, 5, 64, 1)
    dense, rows, transposed = weights(64 * 16 * 16, 32), weights(64, 40), weights(3, 3, 16, 64)

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([1, 32, 32, CHANNELS], tf.float32, name="image")])
        def infer(self, image):
            y = tf.tanh(tf.nn.conv2d(image, strided, 2, "SAME"))
            y = tf.tanh(tf.nn.conv2d(y, pointwise, 1, "SAME"))
            y = tf.tanh(tf.nn.depthwise_conv2d(y, depthwise, [1] * 4, "SAME"))
            return {
                "dense": tf.tanh(tf.matmul(tf.reshape(y, [1, -1]), dense)),
                "rows": tf.tanh(tf.matmul(tf.reshape(y, [256, 64]), rows)),
                "back": tf.nn.conv2d_transpose(y, transposed, [1, 16, 16, 16], 1),
            }

        @tf.function(input_signature=[])
        def nothing(self):
            return {"one": tf.ones([])}

    return _convert(Module(), ["infer", "nothing"], [tf.lite.Optimize.DEFAULT])


@made.once
def build_half():
    """Bytes of a .tflite with the signature `infer` whose kernel is stored as float16 and made float32 once."""
    import tensorflow as tf

    return _convert(_module(), ["infer"], [tf.lite.Optimize.DEFAULT], [tf.float16])


@made.once
def build_counter():
    """Bytes of a .tflite with the signature `train`, which reads a scalar variable in its middle, as Adam does."""
    import tensorflow as tf

    class Module(tf.Module):
        def __init__(self):
            self.steps = tf.Variable(0.0)
            self.bias = tf.Variable(tf.zeros([FILTERS]))

        @tf.function(input_signature=[tf.TensorSpec([BATCH, FILTERS], tf.float32, name="image")])
        def train(self, image):
            self.steps.assign_add(1.0)
            self.bias.assign_sub(tf.reduce_sum(tf.exp(image), 0) / self.steps)
            return {"steps": tf.identity(self.steps)}

    return _convert(Module(), ["train"])


@made.once
def build_loop():
    """Bytes of a .tflite with `nothing` and a `train` that adds up the gradient of two layers over single images."""
    import numpy as np
    import tensorflow as tf

    classes = 3
    kernel = np.linspace(-1, 1, CHANNELS * FILTERS, dtype=np.float32).reshape(1, 1, CHANNELS, FILTERS)
    classifier = np.linspace(-1, 1, FILTERS * classes, dtype=np.float32).reshape(FILTERS, classes)
    images = tf.TensorSpec([BATCH, SIZE, SIZE, CHANNELS], tf.float32, name="image")

    class Module(tf.Module):
        def __init__(self):
            self.kernel = tf.Variable(classifier)

        @tf.function(input_signature=[images, tf.TensorSpec([BATCH], tf.int32, name="label")])
        def train(self, image, label):

            def body(index, loss, bias_sum, kernel_sum):
                hidden = tf.nn.conv2d(tf.gather(image, tf.reshape(index, [1])), kernel, 1, "SAME")
                squashed = tf.tanh(hidden)
                features = tf.reduce_mean(squashed, [1, 2])
                logits = features @ self.kernel
                one_hot = tf.one_hot(tf.gather(label, tf.reshape(index, [1])), classes)
                loss -= tf.reduce_sum(one_hot * tf.nn.log_softmax(logits))
                upstream = tf.nn.softmax(logits) - one_hot
                slope = tf.reshape(upstream @ tf.transpose(self.kernel), [1, 1, 1, FILTERS]) * (1.0 - squashed**2)
                kernel_sum += tf.transpose(features) @ upstream
                return index + 1, loss, bias_sum + tf.reduce_sum(slope, [0, 1, 2]), kernel_sum

            start = (tf.constant(0), tf.zeros([]), tf.zeros([FILTERS]), tf.zeros([FILTERS, classes]))
            _, loss, bias_sum, kernel_sum = tf.while_loop(lambda index, *_: index < BATCH, body, start)
            self.kernel.assign_sub(1e-3 * kernel_sum)
            return {"loss": loss, "slope": tf.reduce_sum(bias_sum)}

        @tf.function(input_signature=[])
        def nothing(self):
            return {"one": tf.ones([])}

    return _convert(Module(), ["train", "nothing"])


@made.once
def build_big_variable():
    """Bytes of a .tflite whose variable of `BIG` numbers starts from a constant.

    Its signatures are `step`, `value`, `reset` and `nothing`.
    """
    import numpy as np
    import tensorflow as tf

    start = np.linspace(-1, 1, BIG, dtype=np.float32)

    class Module(tf.Module):
        def __init__(self):
            self.variable = tf.Variable(start)

        @tf.function(input_signature=[tf.TensorSpec([], name="by")])
        def step(self, by):
            self.variable.assign_add(tf.fill([BIG], by))
            return {"twice": by + by}

        @tf.function(input_signature=[])
        def value(self):
            return {"variable": self.variable.read_value()}

        @tf.function(input_signature=[])
        def reset(self):
            self.variable.assign(tf.constant(start))
            return {"restored": tf.constant([1])}

        @tf.function(input_signature=[])
        def nothing(self):
            return {"one": tf.ones([])}

    return _convert(Module(), ["step", "value", "reset", "nothing"])


@made.once
def build_shared_kernel():
    """Bytes of a .tflite with a 1x1 kernel of `WIDE` by `WIDE` numbers that its signatures `plain` and `relu` use."""
    import numpy as np
    import tensorflow as tf

    kernel = np.linspace(-1, 1, WIDE**2, dtype=np.float32).reshape(1, 1, WIDE, WIDE)
    features = [tf.TensorSpec([1, 4, 4, WIDE], name="features")]

    class Module(tf.Module):
        @tf.function(input_signature=features)
        def plain(self, features):
            return {"y": tf.nn.conv2d(features, kernel, 1, "SAME")}

        @tf.function(input_signature=features)
        def relu(self, features):
            return {"y": tf.nn.relu(tf.nn.conv2d(features, kernel, 1, "SAME"))}

    return _convert(Module(), ["plain", "relu"])


def _convert(module, names, optimizations=(), types=()):
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, {name: getattr(module, name) for name in names})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=names)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        converter.optimizations = list(optimizations)
        converter.target_spec.supported_types = list(types)
        return converter.convert()
