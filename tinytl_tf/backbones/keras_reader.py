"""Converts a Keras model with any layers into the layers of a `NetworkSpec` and their values."""

import functools
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tinytl_tf.backbones.call import Call
from tinytl_tf.backbones.nodes import network_nodes
from tinytl_tf.errors import InputError
from tinytl_tf.layers.selective_wrapper import own_names
from tinytl_tf.networks.spec import CLASSIFIER, LayerSpec
from tinytl_tf.networks.variables import branch_of, describe_variable
from tinytl_tf.ops import ACTIVATIONS

__all__ = ["KerasReader", "functional_body", "stable_name"]

# Names of activations, by Keras function and by the name of the operation in a graph. Functions are compared by
# identity, since a user's function may have the same name.
_ACTIVATIONS = {
    keras.activations.linear: "",
    keras.activations.relu: "relu",
    keras.activations.relu6: "relu6",
    keras.activations.leaky_relu: "leaky_relu",
    keras.activations.elu: "elu",
    keras.activations.silu: "silu",
    keras.activations.hard_silu: "hard_swish",
    keras.activations.hard_sigmoid: "hard_sigmoid",
    keras.activations.sigmoid: "sigmoid",
    keras.activations.tanh: "tanh",
    keras.activations.gelu: "gelu",
    keras.activations.softmax: "softmax",
}
_OPERATIONS = {
    "Relu": "relu",
    "Relu6": "relu6",
    "Silu": "silu",
    "HardSilu": "hard_swish",
    "HardSigmoid": "hard_sigmoid",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Softmax": "softmax",
}
_LAYERS = keras.layers
_MOST_AXES = 4  # highest rank of a norm's input
# Layers that do nothing in inference, except `Dropout`, which the network keeps.
_ONLY_IN_TRAINING = (
    _LAYERS.ActivityRegularization,
    _LAYERS.AlphaDropout,
    _LAYERS.GaussianDropout,
    _LAYERS.GaussianNoise,
    _LAYERS.Identity,
    _LAYERS.RandomBrightness,
    _LAYERS.RandomContrast,
    _LAYERS.RandomFlip,
    _LAYERS.RandomRotation,
    _LAYERS.RandomTranslation,
    _LAYERS.RandomZoom,
    _LAYERS.SpatialDropout1D,
    _LAYERS.SpatialDropout2D,
    _LAYERS.SpatialDropout3D,
)


def functional_body(model: keras.Model) -> keras.Model:
    """Returns a model as a graph of layers.

    Args:
        model: a functional model, a `Sequential` model, or a subclass that calls only Keras layers and operations; the
            latter two must be built.

    Raises:
        InputError: if `model` is something else.
    """
    if not isinstance(model, keras.Model):
        raise InputError(f"expected a keras.Model, got {type(model).__name__}")
    if isinstance(model, keras.Sequential):
        if model._functional is None:
            raise InputError(
                f"expected a Sequential model that is built, got {model.name!r}; begin it with keras.Input"
            )
        return model._functional
    if hasattr(model, "_nodes_by_depth"):
        return model
    shapes = list((model._build_shapes_dict or {}).values())
    if len(shapes) != 1:
        remedy = "write it as keras.Model(inputs, outputs)" if model.built else "call it once on a batch of data"
        raise InputError(f"expected a model of one input that is built, got {type(model).__name__}; {remedy}")
    inputs = keras.Input(shapes[0][1:])
    try:
        return keras.Model(inputs, model.call(inputs), name=model.name)
    except Exception as error:  # any error of the user's code on symbolic tensors
        raise InputError(
            f"expected a model whose call is made of layers and of keras.ops, got {type(model).__name__}, whose call "
            f"does not run on symbolic tensors ({type(error).__name__}); write it as keras.Model(inputs, outputs)"
        ) from error


def stable_name(operation: keras.Operation) -> str:
    """Returns the name of a layer, without the number that Keras appends to automatic names.

    Keras counts the layers in a process: the same code may create `conv2d` at first and `conv2d_22` later, but the
    paths of variables must stay the same.

    Example:
        >>> stable_name(keras.layers.ReLU(name="re_lu_22")), stable_name(keras.layers.ReLU(name="block_22"))
        ('re_lu', 'block_22')
    """
    made_up = re.fullmatch(r"(.+)_\d+", operation.name)
    is_of_class = made_up and made_up[1].replace("_", "") == type(operation).__name__.replace("_", "").lower()
    return made_up[1] if is_of_class else operation.name


class KerasReader:
    """Reads models, one after another, into a single list of layers.

    Nested models are flattened into it. Padding before a convolution and batch normalization after it are merged into
    the convolution.

    Attributes:
        layers: layers read so far, in an order in which they can run; their places are not assigned yet.
        values: values of the variables of each layer, by layer name and then by path in the layer.
        calls: calls to layers without a counterpart, by layer name.
        outputs: (node, name of the layer with the node's output) pairs, in the order in which they were read.
        paddings: paddings to merge into the convolutions that follow, by placeholder name: (padded layer, pads).
    """

    def __init__(self) -> None:
        self.layers: list[LayerSpec] = []
        self.values: dict[str, dict[str, np.ndarray]] = {}
        self.calls: dict[str, Call] = {}
        self.outputs: list[tuple[Any, str]] = []
        self.paddings: dict[str, tuple[str, tuple[tuple[int, int], tuple[int, int]]]] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._called: set[int] = set()
        self._bodies: dict[int, keras.Model] = {}

    def read(self, model: keras.Model, inputs: Sequence[str]) -> str:
        """Reads a model that takes the outputs of the named layers; returns the name of the layer with its output.

        Raises:
            InputError: if a layer is not supported; the message names the layer.
        """
        names = {id(tensor): name for tensor, name in zip(model.inputs, inputs, strict=True)}
        for tensor, name in zip(model.inputs, inputs, strict=True):
            self._shapes.setdefault(name, tuple(tensor.shape[1:]))
        graph = _Graph(model)
        for node in graph.nodes:
            if id(node) in graph.taken:
                continue
            given = [names[id(tensor)] for tensor in node.input_tensors]
            self.check_call(node)
            if isinstance(node.operation, keras.Model):
                shapes = [self._shapes[name] for name in given]
                output, last = self.read(self.body(node.operation, shapes), given), node
            else:
                output, last = self.read_node(node, given, graph)
            if len(last.outputs) != 1:
                raise InputError(
                    f"expected layers of one output, got {last.operation.name!r} ({type(last.operation).__name__}) of "
                    f"{len(last.outputs)}; replace it by layers that give one each"
                )
            names[id(last.outputs[0])] = output
            self.outputs.append((last, output))
        if len(model.outputs) != 1:
            raise InputError(f"expected models of one output, got {model.name!r} of {len(model.outputs)}")
        return names[id(model.outputs[0])]

    def body(self, model: keras.Model, shapes: Sequence[tuple[int, ...]] = ()) -> keras.Model:
        """Returns a model as a graph of layers; every call returns the same graph.

        Args:
            model: the model.
            shapes: shapes of its inputs in the call; a model with a variable input size is traced again with them.
        """
        if id(model) not in self._bodies:
            body = functional_body(model)
            if len(shapes) == 1 == len(body.inputs) and None in body.inputs[0].shape[1:]:
                inputs = keras.Input(shapes[0])
                body = keras.Model(inputs, body.call(inputs), name=model.name)
            self._bodies[id(model)] = body
        return self._bodies[id(model)]

    def read_node(self, node: Any, inputs: Sequence[str], graph: "_Graph") -> tuple[str, Any]:
        """Reads a call; returns the name of the layer with its output, and the last node that was merged into it."""
        operation = node.operation
        if type(operation) in _READERS:
            return _READERS[type(operation)](self, node, inputs, graph)
        name = type(operation).__name__
        if not isinstance(operation, keras.Layer):
            if name in _OPERATIONS and len(inputs) == 1 and _is_on_last_axis(node):
                return self.activate(stable_name(operation), inputs, _OPERATIONS[name]), node
            if name in ("Add", "Multiply") and len(inputs) == 2:
                return _read_join(self, node, inputs, graph)
            if name == "GetItem":
                return _read_item(self, node, inputs, graph)
        return self.keep(node, inputs), node

    def check_call(self, node: Any) -> None:
        """Checks a call and records that its layer was called.

        Raises:
            InputError: if the layer has variables and was called before; if it is quantized; if it does not compute in
                float32; or if it is called with `training=True`.
        """
        operation = node.operation
        if node.arguments.kwargs.get("training") and not _trains_by_default(operation):
            raise InputError(
                f"expected calls as in inference, got training=True in the call of {operation.name!r}; leave it out: "
                "statistics and dropout are those of inference then"
            )
        precision = getattr(operation, "compute_dtype", "float32") or "float32"
        if "float" in precision and precision != "float32" and not isinstance(operation, keras.Model):
            raise InputError(
                f"expected layers that compute in float32, got {precision} in {operation.name!r}; build the model with "
                'keras.config.set_dtype_policy("float32") and load its weights'
            )
        if getattr(operation, "quantization_mode", None):
            raise InputError(
                f"expected weights in float32, got {operation.quantization_mode} in {operation.name!r}; give "
                "the model before quantize(): the exporter has int8 weights of its own"
            )
        if getattr(operation, "weights", ()):
            if id(operation) in self._called:
                raise InputError(
                    f"expected each layer with variables to be called once, got {operation.name!r} twice; give each "
                    "call a layer of its own"
                )
            self._called.add(id(operation))

    def emit(
        self,
        name: str,
        kind: str,
        inputs: Sequence[str],
        shape: Sequence[int],
        values: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> str:
        """Adds a layer to `layers`; returns its name, which may have a number appended."""
        plain = name.replace("/", "_")
        unused, number = plain, 2
        while unused in self._shapes or unused == CLASSIFIER or branch_of(unused):
            unused, number = f"{plain}_{number}", number + 1
        values = {path: np.asarray(value) for path, value in (values or {}).items() if value is not None}
        variables = tuple(describe_variable(f"{unused}/{path}", value.shape) for path, value in values.items())
        self.layers.append(LayerSpec(unused, kind, tuple(inputs), tuple(shape), "", variables, **fields))
        self._shapes[unused] = tuple(shape)
        if values:
            self.values[unused] = values
        return unused

    def activate(self, name: str, inputs: Sequence[str], activation: str, **options: Any) -> str:
        """Adds an activation to `layers`; returns its name."""
        options = tuple({"activation": activation, **options}.items())
        return self.emit(name, "activation", inputs, self._shapes[inputs[0]], options=options)

    def pad(self, source: str, padding: tuple[tuple[int, int], tuple[int, int]]) -> str:
        """Stores a padding for the convolution that follows; returns a placeholder name for the padded output."""
        name = f"{source}, padded by {padding}"
        self.paddings[name] = (source, padding)
        return name

    def keep(self, node: Any, inputs: Sequence[str]) -> str:
        """Adds a layer that stays a call to the Keras layer; returns its name."""
        operation = node.operation
        values = own_names(operation) if isinstance(operation, keras.Layer) else {}
        kind = "attention" if isinstance(operation, _LAYERS.MultiHeadAttention) else "keras"
        name = self.emit(stable_name(operation), kind, inputs, node.outputs[0].shape[1:], values)
        self.values.pop(name, None)  # the Keras layer holds its own values
        self.calls[name] = Call(operation, node)
        return name


class _Graph:
    """The nodes of a model, and the nodes that use their outputs.

    Attributes:
        nodes: nodes in an order in which they can run.
        taken: `id()` of each node that was merged into another node.
    """

    def __init__(self, model: keras.Model) -> None:
        self.nodes = network_nodes(model)
        self.taken: set[int] = set()
        self._outputs = {id(tensor) for tensor in model.outputs}
        self._readers: dict[int, list[Any]] = {}
        for node in self.nodes:
            for tensor in node.input_tensors:
                self._readers.setdefault(id(tensor), []).append(node)

    def only_reader(self, node: Any, *kinds: type) -> Any | None:
        """Returns the only node that uses a node's output, if it calls a layer of one of the given classes."""
        tensor = node.outputs[0]
        readers = self._readers.get(id(tensor), [])
        fits = len(readers) == 1 and id(tensor) not in self._outputs and type(readers[0].operation) in kinds
        return readers[0] if fits else None

    def take(self, node: Any) -> Any:
        """Marks a node as merged into another one."""
        self.taken.add(id(node))
        return node


def _activation_of(layer: keras.Layer) -> str | None:
    """Returns this package's name for a layer's activation; `""` for none, `None` if there is no counterpart."""
    function = layer.activation
    return next((name for known, name in _ACTIVATIONS.items() if function is known), None)


def _activation_node(layer: keras.Layer, shape: Sequence[int | None]) -> Any:
    """Returns a call to a layer's activation as a separate layer."""
    function = layer.activation
    if not isinstance(function, keras.Layer):
        function = _LAYERS.Activation(function, name=f"{stable_name(layer)}_activation")
    function(keras.Input(batch_shape=shape))
    return function._inbound_nodes[-1]


def _with_activation(read: Callable) -> Callable:
    """Decorates the reader of layers with an `activation`: turns the activation into a separate layer."""

    @functools.wraps(read)
    def wrapped(reader, node, inputs, graph):
        layer, activation = node.operation, _activation_of(node.operation)
        output, last = read(reader, node, inputs, graph)
        if activation is None:
            output, _ = reader.read_node(_activation_node(layer, node.outputs[0].shape), [output], graph)
        elif activation:
            output = reader.activate(f"{stable_name(layer)}_activation", [output], activation)
        return output, last

    return wrapped


@_with_activation
def _read_convolution(reader: KerasReader, node: Any, inputs: Sequence[str], graph: _Graph) -> tuple[str, Any]:
    layer = node.operation
    _require_last_axis(layer)
    kernel = np.asarray(layer.kernel)
    if isinstance(layer, _LAYERS.DepthwiseConv1D | _LAYERS.DepthwiseConv2D):
        kind, kernel, groups = _depthwise(kernel)
    else:
        is_depthwise = layer.groups == layer.filters == node.input_tensors[0].shape[-1] > 1
        kind, groups = "depthwise" if is_depthwise else "convolution", layer.groups
        kernel = np.swapaxes(kernel, -1, -2) if is_depthwise else kernel
    padding = layer.padding
    if inputs[0] in reader.paddings:
        source, padding = reader.paddings[inputs[0]]
        inputs = [source]
    window = {**_window(layer), "padding": padding, "groups": groups}
    bias = layer.bias if layer.use_bias else None
    return _emit_convolution(reader, node, kind, inputs, kernel, bias, graph, window)


def _window(layer: keras.Layer) -> dict[str, Any]:
    sizes = {"kernel_size": layer.kernel_size, "strides": layer.strides, "dilation": layer.dilation_rate}
    return {"padding": layer.padding, **{name: tuple(value) for name, value in sizes.items()}}


def _depthwise(kernel: np.ndarray) -> tuple[str, np.ndarray, int]:
    """Returns kind, kernel and groups of a depthwise convolution; with a multiplier above 1 it becomes grouped."""
    channels, multiplier = kernel.shape[-2:]
    if multiplier == 1:
        return "depthwise", kernel, channels
    return "convolution", kernel.reshape(*kernel.shape[:-2], 1, channels * multiplier), channels


def _emit_convolution(reader, node, kind, inputs, kernel, bias, graph, window) -> tuple[str, Any]:
    """Adds a convolution, merged with the norm after it if that norm has a scale and a shift."""
    name, shape = stable_name(node.operation), node.outputs[0].shape[1:]
    norm = graph.only_reader(node, _LAYERS.BatchNormalization) if _activation_of(node.operation) == "" else None
    if norm is not None and norm.operation.scale and norm.operation.center and _is_on_last_axis(norm):
        reader.check_call(norm)
        layer = norm.operation
        shift = 0.0 if bias is None else np.asarray(bias)
        values = {
            "kernel": kernel,
            "norm/gamma": layer.gamma,
            "norm/beta": layer.beta,
            "norm/moving_mean": np.asarray(layer.moving_mean) - shift,  # absorbs the bias of the convolution
            "norm/moving_variance": layer.moving_variance,
        }
        options = (("epsilon", layer.epsilon),)
        return reader.emit(name, kind, inputs, shape, values, options=options, **window), graph.take(norm)
    options = (("norm", False), ("use_bias", bias is not None))
    values = {"kernel": kernel, "bias": bias}
    return reader.emit(name, kind, inputs, shape, values, options=options, **window), node


@_with_activation
def _read_separable(reader: KerasReader, node: Any, inputs: Sequence[str], graph: _Graph) -> tuple[str, Any]:
    layer = node.operation
    _require_last_axis(layer)
    kind, kernel, groups = _depthwise(np.asarray(layer.depthwise_kernel))
    size = (*node.outputs[0].shape[1:-1], layer.pointwise_kernel.shape[-2])
    options = (("norm", False), ("use_bias", False))
    window = {**_window(layer), "groups": groups}
    name = f"{stable_name(layer)}_depthwise"
    between = reader.emit(name, kind, inputs, size, {"kernel": kernel}, options=options, **window)
    one = (1,) * len(layer.kernel_size)
    window = {"kernel_size": one, "strides": one, "dilation": one}
    bias = layer.bias if layer.use_bias else None
    pointwise = np.asarray(layer.pointwise_kernel)
    return _emit_convolution(reader, node, "convolution", [between], pointwise, bias, graph, window)


def _read_padding(reader: KerasReader, node: Any, inputs: Sequence[str], graph: _Graph) -> tuple[str, Any]:
    _require_last_axis(node.operation)
    following = graph.only_reader(node, _LAYERS.Conv2D, _LAYERS.DepthwiseConv2D)
    layer = following.operation if following else None
    if layer is None or layer.padding != "valid":
        return reader.keep(node, inputs), node
    return reader.pad(inputs[0], tuple(map(tuple, node.operation.padding))), node


def _read_batch_norm(reader: KerasReader, node: Any, inputs: Sequence[str], graph: _Graph) -> tuple[str, Any]:
    layer = node.operation
    if not _is_on_last_axis(node) or len(node.outputs[0].shape) > _MOST_AXES:
        return reader.keep(node, inputs), node
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    values = {name: getattr(layer, name, None) for name in names}
    return reader.emit(
        stable_name(layer), "norm", inputs[:1], node.outputs[0].shape[1:], values, options=_norm_options(layer)
    ), node


def _read_layer_norm(reader: KerasReader, node: Any, inputs: Sequence[str], graph: _Graph) -> tuple[str, Any]:
    layer, rank = node.operation, len(node.outputs[0].shape)
    if not _is_on_last_axis(node) or rank > _MOST_AXES or getattr(layer, "rms_scaling", False):
        return reader.keep(node, inputs), node
    values = {"gamma": layer.gamma, "beta": layer.beta}
    shape = node.outputs[0].shape[1:]
    return reader.emit(stable_name(layer), "layer_norm", inputs, shape, values, options=_norm_options(layer)), node


def _read_group_norm(reader: KerasReader, node: Any, inputs: Sequence[str], graph: _Graph) -> tuple[str, Any]:
    layer = node.operation
    if not _is_on_last_axis(node) or len(node.outputs[0].shape) > _MOST_AXES:
        return reader.keep(node, inputs), node
    values = {"gamma": layer.gamma, "beta": layer.beta}
    options = (("groups", layer.groups), *_norm_options(layer))
    return reader.emit(
        stable_name(layer), "group_norm", inputs, node.outputs[0].shape[1:], values, options=options
    ), node


def _norm_options(layer: keras.Layer) -> tuple[tuple[str, Any], ...]:
    return (("epsilon", layer.epsilon), ("center", layer.center), ("scale", layer.scale))


@_with_activation
def _read_dense(reader: KerasReader, node: Any, inputs: Sequence[str], graph: _Graph) -> tuple[str, Any]:
    layer = node.operation
    values = {"kernel": layer.kernel, "bias": layer.bias}
    return reader.emit(stable_name(layer), "dense", inputs, node.outputs[0].shape[1:], values), node


def _read_activation(reader: KerasReader, node: Any, inputs: Sequence[str], graph: _Graph) -> tuple[str, Any]:
    name = _activation_of(node.operation)
    if name is None:
        return reader.keep(node, inputs), node
    return (reader.activate(stable_name(node.operation), inputs, name) if name else inputs[0]), node


def _read_relu(reader: KerasReader, node: Any, inputs: Sequence[str], graph: _Graph) -> tuple[str, Any]:
    layer = node.operation
    if layer.threshold or layer.max_value not in (None, 6.0) or (layer.negative_slope and layer.max_value):
        return reader.keep(node, inputs), node
    if layer.negative_slope:
        return reader.activate(
            stable_name(layer), inputs, "leaky_relu", negative_slope=float(layer.negative_slope)
        ), node
    return reader.activate(stable_name(layer), inputs, "relu6" if layer.max_value else "relu"), node


def _read_leaky_relu(reader: KerasReader, node: Any, inputs: Sequence[str], graph: _Graph) -> tuple[str, Any]:
    slope = float(node.operation.negative_slope)
    return reader.activate(stable_name(node.operation), inputs, "leaky_relu", negative_slope=slope), node


def _read_softmax(reader: KerasReader, node: Any, inputs: Sequence[str], graph: _Graph) -> tuple[str, Any]:
    if not _is_on_last_axis(node) or len(inputs) != 1:  # a second input is a mask
        return reader.keep(node, inputs), node
    return reader.activate(stable_name(node.operation), inputs, "softmax"), node


def _read_pool(kind: str) -> Callable:
    def read(reader, node, inputs, graph):
        layer = node.operation
        _require_last_axis(layer)
        window = {"kernel_size": tuple(layer.pool_size), "strides": tuple(layer.strides), "padding": layer.padding}
        return reader.emit(stable_name(layer), kind, inputs, node.outputs[0].shape[1:], **window), node

    return read


def _read_global_pool(reader: KerasReader, node: Any, inputs: Sequence[str], graph: _Graph) -> tuple[str, Any]:
    layer, shape = node.operation, node.outputs[0].shape[1:]
    _require_last_axis(layer)
    output = reader.emit(stable_name(layer), "global_pool", inputs, shape[-1:])
    if layer.keepdims:
        output = reader.emit(f"{stable_name(layer)}_reshape", "reshape", [output], shape)
    return output, node


def _read_join(reader: KerasReader, node: Any, inputs: Sequence[str], graph: _Graph) -> tuple[str, Any]:
    """Reads a sum of tensors of the same shape, or a product with one number per channel, which is a gate."""
    name, shapes = stable_name(node.operation), [tuple(tensor.shape[1:]) for tensor in node.input_tensors]
    shape = tuple(node.outputs[0].shape[1:])
    is_sum = type(node.operation).__name__ == "Add"
    if is_sum and len(set(shapes)) == 1:
        return reader.emit(name, "add", inputs, shape), node
    gates = [i for i, own in enumerate(shapes) if own != shape and own == (*(1,) * (len(shape) - 1), shape[-1])]
    if not is_sum and len(shapes) == 2 and len(gates) == 1:
        gate, source = inputs[gates[0]], inputs[1 - gates[0]]
        before = next((layer for layer in reader.layers if layer.name == source), None)
        fused = (
            before is not None
            and before.kind == "activation"
            and before.option("activation") in ACTIVATIONS
            and before.option("negative_slope") is None
        )
        options = (("activation", before.option("activation")),) if fused else ()
        return reader.emit(name, "gate", [before.inputs[0] if fused else source, gate], shape, options=options), node
    return reader.keep(node, inputs), node


def _read_rescaling(reader: KerasReader, node: Any, inputs: Sequence[str], graph: _Graph) -> tuple[str, Any]:
    layer = node.operation
    options = (("scale", _plain(layer.scale)), ("offset", _plain(layer.offset)))
    return reader.emit(stable_name(layer), "rescale", inputs, node.outputs[0].shape[1:], options=options), node


def _read_normalization(reader: KerasReader, node: Any, inputs: Sequence[str], graph: _Graph) -> tuple[str, Any]:
    layer = node.operation
    mean, deviation = np.ravel(layer.mean), np.maximum(np.sqrt(np.ravel(layer.variance)), keras.config.epsilon())
    if layer.invert or not (mean.size == 1 or _is_on_last_axis(node)):
        return reader.keep(node, inputs), node
    options = (("scale", _plain(1 / deviation)), ("offset", _plain(-mean / deviation)))
    return reader.emit(stable_name(layer), "rescale", inputs, node.outputs[0].shape[1:], options=options), node


def _plain(value: Any) -> float | tuple[float, ...]:
    values = np.ravel(np.asarray(value, np.float64)).tolist()
    return values[0] if len(values) == 1 else tuple(values)


def _read_dropout(reader: KerasReader, node: Any, inputs: Sequence[str], graph: _Graph) -> tuple[str, Any]:
    if node.operation.noise_shape is not None:  # drops complete images or channels
        return inputs[0], node
    options = (("rate", node.operation.rate),)
    return reader.emit(stable_name(node.operation), "dropout", inputs, node.outputs[0].shape[1:], options=options), node


def _read_upsampling(reader: KerasReader, node: Any, inputs: Sequence[str], graph: _Graph) -> tuple[str, Any]:
    layer = node.operation
    if layer.interpolation != "nearest":
        return reader.keep(node, inputs), node
    _require_last_axis(layer)
    size = tuple(layer.size)
    return reader.emit(
        stable_name(layer), "upsample", inputs, node.outputs[0].shape[1:], options=(("size", size),)
    ), node


def _read_cropping(reader: KerasReader, node: Any, inputs: Sequence[str], graph: _Graph) -> tuple[str, Any]:
    layer, shape = node.operation, tuple(node.outputs[0].shape[1:])
    _require_last_axis(layer)
    cropping = layer.cropping if isinstance(layer, _LAYERS.Cropping2D) else [layer.cropping]
    begin = (*(first for first, _ in cropping), 0)
    return reader.emit(stable_name(layer), "crop", inputs, shape, options=(("begin", begin), ("size", shape))), node


def _read_item(reader: KerasReader, node: Any, inputs: Sequence[str], graph: _Graph) -> tuple[str, Any]:
    """Reads indices and slices without a step, such as `x[:, 0]` and `x[..., 4:]`; keeps all others as calls."""
    name, before, shape = stable_name(node.operation), node.input_tensors[0].shape[1:], node.outputs[0].shape[1:]
    key = node.arguments.args[1]
    key = list(key) if isinstance(key, tuple) else [key]
    if Ellipsis in key:
        place = key.index(Ellipsis)
        key[place : place + 1] = [slice(None)] * (1 + len(before) - (len(key) - 1))
    whole, *key = [*key, *[slice(None)] * (1 + len(before) - len(key))]
    if whole != slice(None) or len(key) != len(before) or not all(type(one) in (int, slice) for one in key):
        return reader.keep(node, inputs), node
    key = [slice(one, one + 1 or None) if type(one) is int else one for one in key]
    ranges = [range(length)[one] for length, one in zip(before, key, strict=True)]
    if not all(one.step == 1 and len(one) for one in ranges):
        return reader.keep(node, inputs), node
    size = tuple(map(len, ranges))
    options = (("begin", tuple(one.start for one in ranges)), ("size", size))
    output = reader.emit(name, "crop", inputs, size, options=options)
    if size != tuple(shape):
        output = reader.emit(f"{name}_reshape", "reshape", [output], shape)
    return output, node


def _read_concatenate(reader: KerasReader, node: Any, inputs: Sequence[str], graph: _Graph) -> tuple[str, Any]:
    options = (("axis", node.operation.axis),)
    return reader.emit(
        stable_name(node.operation), "concatenate", inputs, node.outputs[0].shape[1:], options=options
    ), node


def _read_flatten(reader: KerasReader, node: Any, inputs: Sequence[str], graph: _Graph) -> tuple[str, Any]:
    if getattr(node.operation, "data_format", "channels_last") != "channels_last":
        return reader.keep(node, inputs), node
    return reader.emit(stable_name(node.operation), "reshape", inputs, node.outputs[0].shape[1:]), node


def _read_nothing(reader: KerasReader, node: Any, inputs: Sequence[str], graph: _Graph) -> tuple[str, Any]:
    """Skips a layer that only regularizes, augments or names."""
    return inputs[0], node


def _is_on_last_axis(node: Any) -> bool:
    """Returns whether a layer or operation works along the last axis; one without an `axis` does."""
    axis, rank = getattr(node.operation, "axis", -1), len(node.outputs[0].shape)
    axes = axis if isinstance(axis, list | tuple) else [axis]
    return None not in axes and [one % rank for one in axes] == [rank - 1]


def _trains_by_default(operation: keras.Operation) -> bool:
    """Returns whether `training` defaults to True in `call`, as for layers that augment images."""
    training = inspect.signature(operation.call).parameters.get("training")
    return training is not None and training.default is True


def _require_last_axis(layer: keras.Layer) -> None:
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise InputError(
            f"expected layers of channels_last, got {layer.data_format} in {layer.name!r}; build the model with "
            "channels last and load its weights"
        )


_READERS: dict[type, Callable] = {
    **dict.fromkeys(
        (_LAYERS.Conv1D, _LAYERS.Conv2D, _LAYERS.DepthwiseConv1D, _LAYERS.DepthwiseConv2D), _read_convolution
    ),
    **dict.fromkeys((_LAYERS.SeparableConv1D, _LAYERS.SeparableConv2D), _read_separable),
    _LAYERS.ZeroPadding2D: _read_padding,
    _LAYERS.BatchNormalization: _read_batch_norm,
    _LAYERS.LayerNormalization: _read_layer_norm,
    _LAYERS.GroupNormalization: _read_group_norm,
    _LAYERS.Dense: _read_dense,
    _LAYERS.Activation: _read_activation,
    _LAYERS.ReLU: _read_relu,
    _LAYERS.LeakyReLU: _read_leaky_relu,
    _LAYERS.Softmax: _read_softmax,
    **dict.fromkeys((_LAYERS.MaxPooling1D, _LAYERS.MaxPooling2D), _read_pool("max_pool")),
    **dict.fromkeys((_LAYERS.AveragePooling1D, _LAYERS.AveragePooling2D), _read_pool("average_pool")),
    _LAYERS.GlobalAveragePooling2D: _read_global_pool,
    **dict.fromkeys((_LAYERS.Add, _LAYERS.Multiply), _read_join),
    _LAYERS.Concatenate: _read_concatenate,
    _LAYERS.Rescaling: _read_rescaling,
    _LAYERS.Normalization: _read_normalization,
    _LAYERS.Dropout: _read_dropout,
    _LAYERS.UpSampling2D: _read_upsampling,
    **dict.fromkeys((_LAYERS.Cropping1D, _LAYERS.Cropping2D), _read_cropping),
    **dict.fromkeys((_LAYERS.Flatten, _LAYERS.Reshape), _read_flatten),
    **dict.fromkeys(_ONLY_IN_TRAINING, _read_nothing),
}
