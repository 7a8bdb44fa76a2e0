import os
import subprocess
import sys

import pytest

from tinytl_tf import owner as module
from tinytl_tf.owner import Owner


@pytest.fixture
def machine(monkeypatch):
    """Lets this process seem to run on another machine."""

    def change(host, kernel, namespace):
        monkeypatch.setattr(module, "_machine", lambda: (host, kernel, namespace))

    return change


def test_an_owner_is_read_as_it_was_written():
    here = Owner.here()
    assert here.pid == os.getpid()
    assert Owner.parse(str(here)) == here
    for text in ("", "None", f"{here}-", f"x{here}", "12-34-56-78", str(here).replace("-", "_"), f"{here}\n"):
        assert Owner.parse(text) is None


def test_only_a_process_of_the_same_kernel_and_namespace_has_certainly_ended(machine):
    code = "from tinytl_tf.owner import Owner; print(Owner.here())"
    ended = Owner.parse(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip())
    assert (ended.host, ended.kernel, ended.namespace) == module._machine()
    assert ended.has_ended
    assert not Owner.here().has_ended
    for host, kernel, namespace, expected in (
        (ended.host, ended.kernel, ended.namespace + 1, False),
        (ended.host, "00000000", ended.namespace, False),
        ("00000000", ended.kernel, ended.namespace, True),  # a container with a name of its own for the host
    ):
        machine(host, kernel, namespace)
        assert ended.has_ended == expected
        assert ended.is_on_this_kernel == (kernel == ended.kernel)


def test_a_process_id_out_of_range_is_of_no_process():
    here = Owner.here()
    assert Owner(here.host, here.kernel, here.namespace, 10**19).has_ended


def test_hosts_and_namespaces_differ(tmp_path):
    """A process in a namespace of its own, as in a container, where the system lets us make one."""
    code = "from tinytl_tf.owner import Owner; print(Owner.here())"
    unshare = ["unshare", "--user", "--map-root-user", "--pid", "--uts", "--fork", "--mount-proc"]
    shell = f"hostname other-host; exec {sys.executable} -c '{code}'"
    try:
        done = subprocess.run([*unshare, "sh", "-c", shell], capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("needs unshare")
    if done.returncode:
        pytest.skip(f"cannot make namespaces here: {done.stderr.strip()}")
    other, here = Owner.parse(done.stdout.strip()), Owner.here()
    assert other.kernel == here.kernel
    assert other.host != here.host
    assert other.namespace != here.namespace
    assert not other.has_ended
