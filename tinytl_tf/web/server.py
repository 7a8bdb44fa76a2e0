"""HTTP server for a fixed set of resources. Requests never access the file system by path."""

import http.server
import ipaddress
import os
import socket
from collections.abc import Mapping
from http import HTTPStatus

from tinytl_tf.errors import InputError
from tinytl_tf.web.resources import Resource

__all__ = ["PageServer"]

# Sent with every response, including errors: tells the page's service worker that this program sent the response.
_MARK = ("TinyTL-Page", "1")
_HEADERS = {
    "Cache-Control": "no-cache",
    # Photos stay in the page: it can reach only its own server, which accepts no uploads.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; "
        "style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; manifest-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# Browsers require these headers for shared memory.
_THREADS = {
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_IDLE = 30.0  # seconds until an idle connection is closed
_PACKED_FROM = 1024  # minimum size in bytes for gzip; it saves nothing below


class PageServer(http.server.ThreadingHTTPServer):
    """HTTP server for a fixed set of resources.

    On a loopback address, it only answers requests whose `Host` header is a loopback name, so that other sites cannot
    reach it through their own domain name (DNS rebinding). On any other address, it compresses responses.

    Args:
        resources: Resources by URL path.
        host: Address to listen on.
        port: Port to listen on; 0 for any free port.
        threads: Whether to send the headers that a multithreaded page needs.

    Raises:
        InputError: If the server cannot listen on this address and port.

    Example:
        >>> from tinytl_tf.web import Resource
        >>> with PageServer({"/": Resource("text/plain", b"hello")}, port=0) as server:
        ...     server.address.startswith("http://127.0.0.1:")
        True
    """

    daemon_threads = True

    def __init__(
        self, resources: Mapping[str, Resource], *, host: str = "127.0.0.1", port: int = 8000, threads: bool = False
    ):
        self.resources = dict(resources)
        self.extra_headers = _HEADERS | (_THREADS if threads else {})
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno > 0 else error
            raise InputError(
                f"cannot listen on {host}, port {port}: {why}; choose another port (0 for any that is free) or host"
            ) from error

    @property
    def address(self) -> str:
        """URL of the page."""
        host, port = self.server_address[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        return ipaddress.ip_address(self.server_address[0]).is_loopback

    def handle_error(self, request, client_address) -> None:
        """Ignores errors, such as browsers that close the connection during a response."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "tinytl"
    sys_version = ""
    timeout = _IDLE
    server: PageServer

    def do_GET(self) -> None:  # noqa: N802, the name that http.server calls
        """Sends a resource."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:  # noqa: N802
        """Sends the headers of a resource."""
        self._answer(with_body=False)

    def end_headers(self) -> None:
        """Adds the mark to every response and ends its headers."""
        self.send_header(*_MARK)
        super().end_headers()

    def log_message(self, *args) -> None:
        """Logs nothing, to keep the command's output readable."""

    def _answer(self, *, with_body: bool) -> None:
        if self.server.is_local and not _is_loopback(self.headers.get("Host", "")):
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return
        resource = self.server.resources.get(self.path.partition("?")[0])
        if resource is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        if self.headers.get("If-None-Match") == resource.tag:
            self._send_head(HTTPStatus.NOT_MODIFIED, resource, {})
            return
        wanted = not self.server.is_local and "gzip" in self.headers.get("Accept-Encoding", "")
        packed = wanted and len(resource.data) >= _PACKED_FROM
        body = resource.packed if packed else resource.data
        headers = {"Content-Type": resource.kind, "Content-Length": str(len(body)), "Vary": "Accept-Encoding"}
        self._send_head(HTTPStatus.OK, resource, headers | ({"Content-Encoding": "gzip"} if packed else {}))
        if with_body:
            self.wfile.write(body)

    def _send_head(self, status: HTTPStatus, resource: Resource, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "ETag": resource.tag, **self.server.extra_headers}.items():
            self.send_header(name, value)
        self.end_headers()


def _is_loopback(host: str) -> bool:
    """Whether a `Host` header is a loopback name or address."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
