import gzip
import http.client
import threading

import pytest

from tinytl_tf.errors import InputError
from tinytl_tf.web import PageServer, Resource

CONTENT = {
    "/": Resource("text/html; charset=utf-8", b"<!doctype html>" + b"x" * 2000),
    "/wasm/a.wasm": Resource("application/wasm", b"\0asm"),
}


@pytest.fixture
def serve():
    """Starts servers that end with the test."""
    servers = []

    def start(**options):
        server = PageServer(CONTENT, port=0, **options)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def ask(server, path, method="GET", **headers):
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=10)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def test_content_has_its_type_and_length(serve):
    response, body = ask(serve(), "/wasm/a.wasm")
    assert (response.status, body) == (200, b"\0asm")
    assert response.getheader("Content-Type") == "application/wasm"
    assert response.getheader("Content-Length") == "4"


@pytest.mark.parametrize(
    "path",
    [
        "/wasm/",
        "/wasm",
        "/../setup.py",
        "/wasm/../../setup.py",
        "/%2e%2e/setup.py",
        "//etc/passwd",
        "/etc/passwd",
        "/index.html/",
    ],
)
def test_nothing_else_is_there(serve, path):
    response, body = ask(serve(), path)
    assert response.status == 404
    assert b"wasm/a" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_is_taken(serve, method):
    assert ask(serve(), "/", method)[0].status == 501


def test_big_content_is_packed_for_other_machines_that_ask(serve):
    server = serve(host="0.0.0.0")
    response, body = ask(server, "/", Accept_Encoding="gzip, br")
    assert response.getheader("Content-Encoding") == "gzip"
    assert len(body) < 100
    assert gzip.decompress(body) == CONTENT["/"].data
    response, body = ask(server, "/")
    assert response.getheader("Content-Encoding") is None
    assert body == CONTENT["/"].data
    assert ask(serve(), "/", Accept_Encoding="gzip")[1] == CONTENT["/"].data


def test_head_has_no_body(serve):
    response, body = ask(serve(), "/", "HEAD")
    assert (response.status, body) == (200, b"")
    assert response.getheader("Content-Length") == str(len(CONTENT["/"].data))


def test_what_a_browser_has_is_not_sent_again(serve):
    server = serve()
    tag = ask(server, "/")[0].getheader("ETag")
    response, body = ask(server, "/", If_None_Match=tag)
    assert (response.status, body) == (304, b"")
    assert ask(server, "/", If_None_Match='"other"')[0].status == 200


def test_a_page_may_reach_its_own_server_alone(serve):
    response, _ = ask(serve(), "/")
    policy = response.getheader("Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "connect-src 'self';" in policy
    assert response.getheader("X-Content-Type-Options") == "nosniff"
    assert response.getheader("Cross-Origin-Embedder-Policy") is None


def test_threads_need_headers(serve):
    response, _ = ask(serve(threads=True), "/wasm/a.wasm")
    assert response.getheader("Cross-Origin-Embedder-Policy") == "require-corp"
    assert response.getheader("Cross-Origin-Opener-Policy") == "same-origin"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("127.0.0.1", 200),
        ("[::1]:80", 200),
        ("LOCALHOST", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
    ],
)
def test_other_sites_cannot_reach_it_by_a_name_of_theirs(serve, host, status):
    assert ask(serve(), "/", Host=host)[0].status == status


def test_on_all_addresses_any_name_will_do(serve):
    server = serve(host="0.0.0.0")
    assert not server.is_local
    assert ask(server, "/", Host="desk.example")[0].status == 200


def test_ipv6(serve):
    try:
        server = serve(host="::1")
    except InputError:
        pytest.skip("this machine has no IPv6")
    assert server.address.startswith("http://[::1]:")
    assert ask(server, "/", Host="[::1]")[0].status == 200


def test_a_port_in_use_is_named(serve):
    port = serve().server_address[1]
    with pytest.raises(InputError, match=rf"cannot listen on 127.0.0.1, port {port}: .*in use; choose another port"):
        PageServer(CONTENT, port=port)


def test_a_host_that_is_none_is_named():
    with pytest.raises(InputError, match="cannot listen on no.such.host.invalid, port 0: "):
        PageServer(CONTENT, host="no.such.host.invalid", port=0)
