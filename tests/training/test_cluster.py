import json

import pytest

from tinytl_tf.errors import InputError
from tinytl_tf.training.cluster import Cluster


def config(workers=("a:1", "b:2"), **changes):
    return {"cluster": {"worker": list(workers)}, "task": {"type": "worker", "index": 1}} | changes


def read(monkeypatch, content):
    text = content if isinstance(content, str) else json.dumps(content)
    monkeypatch.setenv("TF_CONFIG", text)
    return Cluster.from_environment()


@pytest.mark.parametrize("index", [1, "1"])
def test_what_tensorflow_takes_is_read(monkeypatch, index):
    content = config(["Host-1.example.com:1", "[::1]:65535", "10.0.0.1:22"], task={"type": "worker", "index": index})
    cluster = read(monkeypatch, content | {"environment": "cloud"})
    assert cluster == Cluster(("Host-1.example.com:1", "[::1]:65535", "10.0.0.1:22"), 1)
    assert cluster.ends == (("host-1.example.com", 1), ("::1", 65535), ("10.0.0.1", 22))
    assert cluster.others == (0, 2)


DAMAGED = {
    "empty": "",
    "no JSON": "{",
    "deep": "[" * 100_000,
    "a list": "[]",
    "a number": "1e400",
    "no cluster": {"task": {"type": "worker", "index": 0}},
    "no task": {"cluster": {"worker": ["a:1"]}},
    "task of another kind": config(task="worker"),
    "no type": config(task={"index": 0}),
    "no index": config(task={"type": "worker"}),
    "chief": config(task={"type": "chief", "index": 0}),
    "parameter servers": config(cluster={"worker": ["a:1"], "ps": ["b:1"]}),
    "no workers": config([]),
    "workers of another kind": config(cluster={"worker": "a:1"}),
    "workers by number": config(cluster={"worker": {"0": "a:1", "1": "b:1"}}),
    "address of another kind": config([1, 2]),
    **{
        f"index {index!r}": config(task={"type": "worker", "index": index})
        for index in (2, -1, 1.0, True, None, "x", "", " 1", "²", [0], 10**30, "9" * 5000)
    },
    "index NaN": '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": NaN}}',
    "index Infinity": '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": Infinity}}',
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_damaged_is_refused_in_one_line(monkeypatch, name):
    with pytest.raises(InputError) as error:
        read(monkeypatch, DAMAGED[name])
    text = str(error.value)
    assert text.startswith('expected TF_CONFIG={"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", ')
    assert text.endswith("; set it")
    assert "\n" not in text
    assert len(text) < 400


@pytest.mark.parametrize(
    "address",
    [
        "a",
        "a:",
        ":1",
        "a:0",
        "a:65536",
        "a:-1",
        "a:1.0",
        "a:99999999999",
        "a:1x",
        "a:²",
        "a: 1",
        "",
        "http://a:1",
        "a/b:1",
    ]
    + [
        "a b:1",
        "*:1",
        "::1:1",
        "[::1]",
        "[::1:1",
        "[a]:1",
        "[]:1",
        "-a:1",
        "花:1",
        "a:1,b:2",
        "a\n:1",
        "x" * 300 + ":1",
    ],
)
def test_what_cannot_be_an_address_is_refused_by_name(monkeypatch, address):
    with pytest.raises(InputError) as error:
        read(monkeypatch, config(["a:1", address]))
    assert str(error.value).startswith("expected an address host:port ")
    assert repr(address) in str(error.value)


@pytest.mark.parametrize("other", ["a:1", "A:1", "a:01"])
def test_one_address_given_twice_is_refused(monkeypatch, other):
    with pytest.raises(InputError) as error:
        read(monkeypatch, config(["a:1", "b:1", other]))
    assert str(error.value) == (
        f"expected an address of its own for each worker in TF_CONFIG, got {other} twice; give each another host or "
        "port"
    )
    with pytest.raises(InputError, match="twice"):
        read(monkeypatch, config(["[::1]:1", "[0:0::1]:1"]))
