"""`LiteResidual` against the module written plainly in TensorFlow and Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.layers.gradients import assert_close, random, value_and_gradients
from tinytl_tf.layers import LiteResidual

FINAL_NORM = ("final_norm/gamma", "final_norm/beta")
NAMES = ("kernel", "pointwise_kernel", "norm/gamma", "norm/beta", *FINAL_NORM)
BETAS = ("norm/beta", "final_norm/beta")

# The branches of ProxylessNAS-Mobile: block, input and output channels, stride, kernel size and parameters, from the
# table of the paper's released code. Blocks 3 and 4 are empty.
PROXYLESS_BRANCHES = [
    (1, 16, 32, 2, 5, 3_808),
    (2, 32, 32, 1, 5, 13_952),
    (5, 32, 40, 2, 5, 14_224),
    (6, 40, 40, 1, 5, 21_760),
    (7, 40, 40, 1, 5, 21_760),
    (8, 40, 40, 1, 5, 21_760),
    (9, 40, 80, 2, 5, 23_440),
    (10, 80, 80, 1, 5, 86_720),
    (11, 80, 80, 1, 5, 86_720),
    (12, 80, 80, 1, 5, 86_720),
    (13, 80, 96, 1, 5, 88_032),
    (14, 96, 96, 1, 5, 124_800),
    (15, 96, 96, 1, 5, 124_800),
    (16, 96, 96, 1, 5, 124_800),
    (17, 96, 192, 2, 5, 134_208),
    (18, 192, 192, 1, 3, 203_520),
    (19, 192, 192, 1, 3, 203_520),
    (20, 192, 192, 1, 3, 203_520),
    (21, 192, 320, 1, 3, 228_352),
]


class PlainBranch:
    """The module as the paper describes it, out of Keras layers that have nothing of ours."""

    def __init__(self, ours, width):
        around = ours.kernel_size // 2
        if ours.global_pool:
            self.pool = keras.layers.GlobalAveragePooling2D(keepdims=True)
        else:
            self.pool = keras.layers.AveragePooling2D(2, padding="valid")
        self.pad = keras.layers.ZeroPadding2D(around)
        self.convolution = keras.layers.Conv2D(
            width, ours.kernel_size, ours.strides, padding="valid", groups=ours.groups, use_bias=False
        )
        self.norm = keras.layers.GroupNormalization(width // 8, epsilon=1e-3)
        self.pointwise = keras.layers.Conv2D(ours.filters, 1, use_bias=False)
        self.final_norm = keras.layers.GroupNormalization(ours.filters // 8, epsilon=1e-3) if ours.final_norm else None
        self.strides = ours.strides
        self.standardized = ours.weight_standardization

    def __call__(self, x):
        if not self.convolution.built:
            self.pointwise(self.convolution(self.pad(self.pool(x))))
        kernels = [tf.convert_to_tensor(layer.kernel) for layer in (self.convolution, self.pointwise)]
        if self.standardized:  # per output, by the unbiased deviation
            kernels = [_standardized(kernel) for kernel in kernels]
        y = keras.ops.conv(self.pad(self.pool(x)), kernels[0], self.strides, "valid")
        y = keras.ops.conv(tf.nn.relu(self.norm(y)), kernels[1], 1, "valid")
        if self.final_norm:
            y = self.final_norm(y)
        size = [-(-length // self.strides) for length in x.shape[1:3]]  # that of the block's output
        return tf.image.resize(y, size, "bilinear", antialias=False)

    @property
    def variables(self):
        layers = (self.convolution, self.pointwise)
        norms = [self.norm, self.final_norm] if self.final_norm else [self.norm]
        return [layer.kernel for layer in layers] + [weights for norm in norms for weights in norm.weights]


def _standardized(kernel):
    count = kernel.shape[0] * kernel.shape[1] * kernel.shape[2]
    mean, variance = tf.nn.moments(kernel, [0, 1, 2], keepdims=True)
    return (kernel - mean) / (tf.sqrt(variance * count / (count - 1)) + 1e-5)


@pytest.mark.parametrize(
    ("final_norm", "standardized"),
    [(False, False), (True, False), (True, True)],
    ids=["", "with a final norm", "with standardized kernels"],
)
@pytest.mark.parametrize(
    ("size", "options", "train"),
    [
        ((14, 14), {"kernel_size": 5}, NAMES),
        ((14, 14), {"kernel_size": 5, "strides": 2}, NAMES),
        ((14, 14), {"kernel_size": 5, "strides": 2}, BETAS),
        ((7, 7), {"kernel_size": 3}, NAMES),
        ((7, 7), {"kernel_size": 3}, BETAS),
        ((7, 7), {"kernel_size": 5, "strides": 2}, NAMES),
        ((9, 6), {"kernel_size": 3, "groups": 4}, NAMES),
        ((5, 8), {"kernel_size": 1, "expand": 2.0}, NAMES),
        ((2, 3), {"kernel_size": 3}, NAMES),
        ((4, 3), {"kernel_size": 1, "global_pool": True}, NAMES),
        ((3, 1), {"kernel_size": 1, "global_pool": True, "strides": 2}, NAMES),
    ],
    ids=str,
)
def test_equals_the_module_written_plainly(size, options, train, final_norm, standardized):
    x = random((2, *size, 16), dtype="float32")
    names = NAMES if final_norm else NAMES[:-2]
    train = [name for name in train if name in names]
    options = {**options, "final_norm": final_norm, "weight_standardization": standardized}
    ours = LiteResidual(24, train=train, **options)
    plain = PlainBranch(ours, width=int(16 * ours.expand))
    assert not np.any(ours(x)), "the branch starts as exact zero"
    plain(x)
    variables = dict(zip(names, zip(_named(ours), plain.variables, strict=True), strict=True))
    for seed, (mine, his) in enumerate(variables.values()):
        mine.assign(random(mine.shape, seed, "float32"))
        his.assign(mine)
    y, gradients = value_and_gradients(ours, x, [variables[name][0] for name in train])
    expected, theirs = value_and_gradients(plain, x, [variables[name][1] for name in train])
    assert ours.compute_output_shape(x.shape) == tuple(expected.shape)
    # float32 sums of some 100 terms through two norms; bilinear resizing has no float64 to compare with.
    for mine, his in zip([y, *gradients], [expected, *theirs], strict=True):
        assert_close(mine, his, 2e-5)


def _named(layer):
    norms = [layer.norm, layer.final_norm] if layer.final_norm else [layer.norm]
    return [layer.kernel, layer.pointwise_kernel, *(vector for norm in norms for vector in (norm.gamma, norm.beta))]


def test_starts_with_hes_deviations_over_the_outgoing_connections():
    keras.utils.set_random_seed(0)
    layer = LiteResidual(256, kernel_size=5, final_norm=True)
    layer.build((None, 8, 8, 128))
    # 200 thousand and 33 thousand draws: the estimate is good to 1 %.
    assert np.std(layer.kernel) == pytest.approx((2 / (5 * 5 * 128)) ** 0.5, rel=0.01)
    assert np.std(layer.pointwise_kernel) == pytest.approx((2 / 256) ** 0.5, rel=0.01)


def test_the_last_kernel_starts_at_zero_and_alone_has_a_gradient():
    layer = LiteResidual(24, train=NAMES[:-2])
    x = random((2, 14, 14, 16), dtype="float32")
    layer(x)
    assert not np.any(layer.pointwise_kernel)
    y, gradients = value_and_gradients(layer, x, _named(layer))
    assert [bool(np.any(gradient)) for gradient in gradients[-4:]] == [False, True, False, False]


def test_a_configuration_of_an_older_version_has_the_norm_that_all_branches_had():
    config = LiteResidual(24).get_config()
    assert config["final_norm"] is False
    assert LiteResidual.from_config(config).final_norm is None
    del config["final_norm"]
    assert LiteResidual.from_config(config).final_norm is not None


def test_parameters_of_proxylessnas_mobile():
    counts = []
    for _, inputs, filters, strides, kernel_size, _ in PROXYLESS_BRANCHES:
        layer = LiteResidual(filters, kernel_size, strides, final_norm=True)
        layer.build((None, 8, 8, inputs))
        counts.append(layer.count_params())
    assert counts == [row[5] for row in PROXYLESS_BRANCHES]
    assert sum(counts) == 1_816_416


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel_size": 4}, "kernel_size must be odd, got 4"),
        ({"groups": 0}, "groups must be an integer above 0, got 0"),
        ({"expand": 0}, "expand must be above 0, got 0"),
        (
            {"weight_standardization": True},
            "weight_standardization needs final_norm=True: without it a kernel starts at zero",
        ),
    ],
)
def test_refuses_wrong_arguments_at_once(arguments, message):
    with pytest.raises(ValueError) as error:
        LiteResidual(8, **arguments)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((1, 4, 8), {}, "branch needs a known height and width of 2 or more, got (1, 4)"),
        ((None, None, 8), {}, "branch needs a known height and width of 2 or more, got (None, None)"),
        (
            (4, 4, 8),
            {"groups": 3},
            "branch needs input channels and a width divisible by 3 groups, got 8 channels and width 8",
        ),
    ],
)
def test_refuses_wrong_inputs(shape, options, message):
    with pytest.raises(ValueError) as error:
        LiteResidual(8, name="branch", **options)(keras.Input(shape))
    assert str(error.value) == message


@pytest.mark.parametrize("shape", [(None, None, None, 16), (2, None, 9, 16)])
def test_an_unknown_size_stays_unknown(shape):
    height, width = (None if length is None else 5 for length in shape[1:3])
    assert LiteResidual(8, strides=2).compute_output_shape(shape) == (shape[0], height, width, 8)
