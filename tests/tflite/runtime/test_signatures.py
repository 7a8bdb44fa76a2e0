import numpy as np
import pytest

from tests import tiny_models, tiny_tflite
from tinytl_tf.errors import InputError
from tinytl_tf.memory import measure
from tinytl_tf.tflite.runtime import APIS, load_signatures, signatures


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


@pytest.mark.thorough
def test_signatures_of_a_compiled_model_share_packed_kernels(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_models.build_shared_kernel())
    kernel = 4 * tiny_models.WIDE**2
    assert path.stat().st_size < 1.1 * kernel
    growth = {api: measure(path, "plain", steps=1, api=api).growth_bytes for api in APIS}
    assert growth["compiled_model"] < growth["interpreter"] - 0.5 * kernel


@pytest.fixture(scope="module")
def big_variable(tmp_path_factory):
    path = tmp_path_factory.mktemp("big") / "model.tflite"
    path.write_bytes(tiny_models.build_big_variable())
    return path


@pytest.mark.parametrize("api", APIS)
def test_what_is_read_once_is_given_back(big_variable, api):
    growth = {
        on: measure(big_variable, "step", xnnpack=False, api=api, give_back=on).growth_bytes for on in (True, False)
    }
    assert growth[True] < growth[False] - 0.75 * 4 * tiny_models.BIG


@pytest.mark.parametrize("api", APIS)
def test_giving_back_changes_nothing(big_variable, api):
    signatures = load_signatures(big_variable, api=api)
    start = np.linspace(-1, 1, tiny_models.BIG, dtype=np.float32)
    for count in (1, 2):
        signatures["step"](by=np.float32(1.0))
        np.testing.assert_allclose(signatures["value"]()["variable"], start + count, atol=1e-6)
    signatures["reset"]()
    np.testing.assert_array_equal(signatures["value"]()["variable"], start)


FEATURES = "processor\t: 0\nFeatures\t: fp asimd evtstrm aes{}\nCPU part\t: 0xd08\n"


@pytest.mark.parametrize(
    ("machine", "cpuinfo", "expected"),
    [
        ("aarch64", FEATURES.format(""), True),
        ("aarch64", FEATURES.format(" atomics fphp"), False),
        ("aarch64", "", False),
        ("x86_64", "flags\t: fpu vme\n", False),
        ("x86_64", FEATURES.format(""), False),
    ],
)
def test_processors_without_atomics_are_known(machine, cpuinfo, expected):
    assert signatures.lacks_atomics(machine, cpuinfo) == expected


def test_the_compiled_model_is_refused_where_it_would_end_the_process(monkeypatch):
    monkeypatch.setattr(signatures, "lacks_atomics", lambda machine, cpuinfo: True)
    with pytest.raises(InputError, match="without atomics"):
        signatures.import_api("compiled_model")
    signatures.import_api("interpreter")
