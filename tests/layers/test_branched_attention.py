"""`BranchedAttention` against Keras' attention whose kernels have the branches added."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.layers.gradients import assert_close, random, value_and_gradients
from tinytl_tf.layers import BranchedAttention, LoRA

TOKENS = (2, 5, 8)
OPTIONS = [{}, {"dropout": 0.1}, {"use_bias": False, "value_dim": 3}]


def attention(**options):
    layer = keras.layers.MultiHeadAttention(2, 4, dtype="float64", name="attention", **options)
    layer.build(TOKENS, TOKENS)
    return layer


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_lora_is_a_change_of_the_kernels(options, causal):
    x, layer = random(TOKENS), attention(**options)
    wrapper = BranchedAttention(layer, ["query", "value"], name="wrapped", dtype="float64")
    projections = {"query": layer.query_dense, "value": layer.value_dense}
    branches = {}
    for seed, (port, dense) in enumerate(projections.items()):
        branches[port] = LoRA(dense.kernel.shape[1:], rank=2, train=["a", "b"], dtype="float64")
        branches[port].build(TOKENS)
        branches[port].b.assign(random(branches[port].b.shape, seed))
    variables = [variable for branch in branches.values() for variable in (branch.a, branch.b)]

    def ours(x):
        return wrapper(x, x, branches=[branch(x) for branch in branches.values()], use_causal_mask=causal)

    def plain(x):
        """Keras' attention alone; only the kernels are exchanged."""
        changed = [(d.kernel, d.kernel + tf.tensordot(branches[p].a, branches[p].b, 1)) for p, d in projections.items()]
        with keras.StatelessScope(changed):
            return layer(x, x, use_causal_mask=causal)

    y, gradients = value_and_gradients(ours, x, variables)
    expected, theirs = value_and_gradients(plain, x, variables)
    for mine, his in zip([y, *gradients], [expected, *theirs], strict=True):
        assert_close(mine, his, 1e-12)  # float64 sums of some 10 products
    assert not np.allclose(y, layer(x, x, use_causal_mask=causal))


def test_the_attention_itself_stays_as_it_is():
    x, layer = random(TOKENS), attention()
    names, before = [variable.name for variable in layer.variables], layer(x, x)
    wrapper = BranchedAttention(layer, ["value"], name="wrapped", dtype="float64")
    assert not np.allclose(wrapper(x, x, branches=[random((2, 5, 2, 4), 3)]), before)
    np.testing.assert_array_equal(layer(x, x), before)
    assert [variable.name for variable in layer.variables] == names


@pytest.mark.parametrize(
    ("layer", "ports", "message"),
    [
        (keras.layers.Dense(2), ["query"], "expected a MultiHeadAttention, got Dense; use SelectiveWrapper"),
        (attention(), ["gate"], "expected ports from query, key, value, got 'gate'"),
    ],
)
def test_refuses_other_layers_and_ports(layer, ports, message):
    with pytest.raises(ValueError) as error:
        BranchedAttention(layer, ports)
    assert str(error.value) == message


def test_refuses_more_branches_than_ports():
    x = random(TOKENS)
    with pytest.raises(ValueError, match="expected a branch for each of query, got 2"):
        BranchedAttention(attention(), ["query"], dtype="float64")(x, x, branches=[x, x])
