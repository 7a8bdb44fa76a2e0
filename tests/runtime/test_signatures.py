import numpy as np
import pytest
import tensorflow as tf

from tests import tiny_tflite
from tinytl_tf.errors import InputError
from tinytl_tf.memory import measure
from tinytl_tf.runtime import APIS, load_signatures

CHANNELS = 2048
KERNEL_BYTES = 4 * CHANNELS**2


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("runtime") / "model.tflite"
    path.write_bytes(tiny_tflite.build())
    return path


@pytest.mark.parametrize("xnnpack", [True, False])
def test_the_interfaces_are_alike(model_path, xnnpack):
    interpreter, compiled = (load_signatures(model_path, xnnpack=xnnpack, api=api) for api in APIS)
    assert set(interpreter) == set(compiled) == set(tiny_tflite.SIGNATURES)
    rng = np.random.default_rng(0)
    for name in tiny_tflite.SIGNATURES:
        for method in ("get_input_details", "get_output_details"):
            details, expected = getattr(compiled[name], method)(), getattr(interpreter[name], method)()
            assert details.keys() == expected.keys()
            for tensor in expected:
                assert details[tensor]["dtype"] == expected[tensor]["dtype"]
                assert details[tensor]["shape_signature"].tolist() == expected[tensor]["shape_signature"].tolist()
        inputs = {
            tensor: rng.integers(0, 3, detail["shape_signature"]).astype(detail["dtype"])
            for tensor, detail in interpreter[name].get_input_details().items()
        }
        outputs, expected = compiled[name](**inputs), interpreter[name](**inputs)
        assert outputs.keys() == expected.keys()
        for tensor in expected:
            assert (outputs[tensor].dtype, outputs[tensor].shape) == (expected[tensor].dtype, expected[tensor].shape)
            np.testing.assert_array_equal(outputs[tensor], expected[tensor])


@pytest.mark.parametrize("api", APIS)
def test_other_inputs_are_refused(model_path, api):
    save = load_signatures(model_path, api=api)["save"]
    with pytest.raises(ValueError, match=r"input"):
        save(state=np.zeros(3, np.float32))


def test_an_unknown_api_is_named(model_path):
    with pytest.raises(InputError) as error:
        load_signatures(model_path, api="micro")
    assert str(error.value) == "expected an api of interpreter, compiled_model, got 'micro'"


def two_signatures(folder):
    """A file with a big kernel that two signatures use."""
    kernel = tf.constant(np.random.default_rng(0).normal(size=[1, 1, CHANNELS, CHANNELS]), tf.float32)
    specs = [tf.TensorSpec([1, 4, 4, CHANNELS], name="features")]
    module = tf.Module()
    module.first = tf.function(lambda features: {"y": tf.nn.conv2d(features, kernel, 1, "SAME")}, specs)
    module.second = tf.function(lambda features: {"y": tf.nn.relu(tf.nn.conv2d(features, kernel, 1, "SAME"))}, specs)
    signatures = {"first": module.first.get_concrete_function(), "second": module.second.get_concrete_function()}
    tf.saved_model.save(module, folder / "saved", signatures=signatures)
    path = folder / "two.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved")).convert())
    return path


def test_signatures_of_a_compiled_model_share_packed_kernels(tmp_path):
    path = two_signatures(tmp_path)
    assert path.stat().st_size < 1.1 * KERNEL_BYTES
    growth = {api: measure(path, "first", steps=1, api=api).growth_bytes for api in APIS}
    assert growth["compiled_model"] < growth["interpreter"] - 0.5 * KERNEL_BYTES
