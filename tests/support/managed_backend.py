"""Stands for a managed service, on the loopback: what a cloud's gateway, or a Tempo or Mimir with tenants, asks of callers.

It is no such service. It holds the rules that docs/managed-backends.md tells of in front of a real Prometheus, a real
Alertmanager or Clew's own backend: an instance id and a token of that product, a scope for what is asked, a path prefix,
a tenant, too many requests, and routes that are not there. Its words are its own; only statuses are the services'.
"""

from __future__ import annotations

import base64
import gzip
import http.client
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_PASSED_ON = ("content-type", "accept", "content-encoding")


@dataclass(frozen=True)
class Token:
    """A token of an access policy."""

    scopes: frozenset[str]
    expired: bool = False


@dataclass(frozen=True)
class Product:
    """What one product of the service asks.

    upstream: the URL behind it; with tenants, one for each of them and under "" the one of everybody else, which is empty.
    prefix:   below which its API stands.
    user:     instance id for basic authentication; without one a bearer token is asked for, where there are tokens.
    scope:    the scope that a request needs, from its method and its path below the prefix.
    absent:   path beginnings that the real product answers and this service does not.
    """

    upstream: str | Mapping[str, str]
    prefix: str = ""
    user: str = ""
    tokens: Mapping[str, Token] = field(default_factory=dict)
    scope: Callable[[str, str], str] = lambda method, path: ""
    absent: tuple[str, ...] = ()


class ManagedBackend:
    """One product, served while the `with` block lasts; `url` is without the prefix, as the host of the real one.

    busy:  so many of the next requests are answered with 429 and `retry_after`.
    asked: method, path and status of each request.
    """

    def __init__(self, product: Product, *, tls: ssl.SSLContext | None = None) -> None:
        self.product = product
        self.busy = 0
        self.retry_after = "1"
        self.asked: list[tuple[str, str, int]] = []
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                gateway._serve(self)

            do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls:
            # The handshake waits for the request's own thread: a client that hangs in it holds up nobody.
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("content-length") or 0))
        status, kind, answer, more = self._answer(request, body)
        if "gzip" in request.headers.get("accept-encoding", "") and answer:
            answer, more = gzip.compress(answer, 1), {**more, "Content-Encoding": "gzip"}
        self.asked.append((request.command, request.path, status))
        request.send_response(status)
        for name, value in {"Content-Type": kind, **more, "Content-Length": str(len(answer))}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(answer)

    def _answer(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, str, bytes, dict[str, str]]:
        product = self.product
        where = urlsplit(request.path)
        below = where.path.removeprefix(product.prefix)
        if product.tokens:
            token = product.tokens.get(self._token(request))
            if token is None or token.expired:
                return _no(401, "authentication error")
            if product.scope(request.command, below) not in {"", *token.scopes}:
                return _no(403, "not allowed by the access policy")
        if self.busy:
            self.busy -= 1
            return _no(429, "too many requests", **{"Retry-After": self.retry_after})
        if not f"{where.path}/".startswith(f"{product.prefix}/") or below.startswith(product.absent or ("\0",)):
            return _no(404, "not found")
        upstream = product.upstream
        if not isinstance(upstream, str):
            tenant = request.headers.get("x-scope-orgid", "")
            if not tenant:
                return 401, "text/plain; charset=utf-8", b"no org id\n", {}
            upstream = upstream.get(tenant, upstream[""])
        return _ask(upstream, request, below + (f"?{where.query}" if where.query else ""), body)

    def _token(self, request: BaseHTTPRequestHandler) -> str:
        """The token that came, if it came in the way and from the user that this product wants; else ""."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if not self.product.user:
            return value if scheme == "Bearer" else ""
        if scheme != "Basic":
            return ""
        user, _, token = base64.b64decode(value).decode().partition(":")
        return token if user == self.product.user else ""


def _no(status: int, words: str, **more: str) -> tuple[int, str, bytes, dict[str, str]]:
    return status, "application/json", f'{{"status":"error","error":"{words}"}}'.encode(), more


def _ask(upstream: str, request: BaseHTTPRequestHandler, path: str, body: bytes) -> tuple[int, str, bytes, dict[str, str]]:
    base = urlsplit(upstream)
    connection = http.client.HTTPConnection(base.netloc, timeout=30)
    try:
        headers = {name: request.headers[name] for name in _PASSED_ON if request.headers[name]}
        connection.request(request.command, base.path + path, body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("content-type", "application/octet-stream"), answer.read(), {}
    finally:
        connection.close()
