"""A TCP server that answers HTTP as badly as asked: one named fault per server."""

from __future__ import annotations

import asyncio
import functools
import gzip
import json
import ssl
import subprocess
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from support.parts import require

Handler = Callable[[asyncio.StreamWriter], Awaitable[None]]


class FaultServer:
    """`async with FaultServer("slow_drip") as server: ... server.url`. `requests` counts what was asked of it."""

    def __init__(self, fault: str | Handler, *, tls: ssl.SSLContext | None = None, eager: bool = False) -> None:
        """eager: answer without reading the request first, as a server does that cannot make sense of it."""
        self._eager = eager
        self._handler = FAULTS[fault] if isinstance(fault, str) else fault
        if self._handler is _gzip_bomb:
            _bomb()  # made now, because making it takes longer than a short deadline
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self.requests = 0
        self.heads: list[bytes] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            head = b"" if self._eager else await reader.readuntil(b"\r\n\r\n")
            self.requests += 1
            self.heads.append(head)
            await self._handler(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client or the test had enough, which is what most tests are about
        finally:
            self._tasks.discard(task)
            writer.close()


def answer(body: bytes, *, status: str = "200 OK", kind: str = "application/json", **headers: str) -> bytes:
    """A whole HTTP answer. Header names are given with underscores."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", "Connection: close"]
    headers.setdefault("Content_Length", str(len(body)))
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def says(raw: bytes) -> Handler:
    """A handler that writes these bytes and closes."""

    async def handler(writer: asyncio.StreamWriter) -> None:
        writer.write(raw)

    return handler


async def _slow_header(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def _slow_drip(writer: asyncio.StreamWriter) -> None:
    writer.write(answer(b"", Content_Length="1000000"))
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def _reset(writer: asyncio.StreamWriter) -> None:
    writer.write(answer(b'{"traces":[', Content_Length="5000"))
    await writer.drain()
    writer.transport.abort()


async def _huge(writer: asyncio.StreamWriter) -> None:
    writer.write(answer(b"", Content_Length=str(200 * 2**20)))
    for _ in range(200):
        writer.write(b" " * 2**20)
        await writer.drain()


@functools.cache
def _bomb() -> bytes:
    """100 MB of blanks in 100 kB."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(b" " * 2**20) for _ in range(100)) + packer.flush()


async def _gzip_bomb(writer: asyncio.StreamWriter) -> None:
    writer.write(answer(_bomb(), Content_Encoding="gzip"))


_HTML = b"<!DOCTYPE html><title>Sorry</title><script>alert(1)</script><h1>nginx</h1>"

FAULTS: dict[str, Handler] = {
    "fine": says(answer(b'{"traces":[]}')),
    "slow_header": _slow_header,
    "slow_drip": _slow_drip,
    "error_500_html": says(answer(_HTML, status="500 Internal Server Error", kind="text/html")),
    "busy_429": says(answer(b"rate limited", status="429 Too Many Requests", kind="text/plain", Retry_After="30")),
    "truncated_length": says(answer(b'{"traces":[', Content_Length="5000")),
    "truncated_chunk": says(answer(b"400\r\n{", Content_Length="", Transfer_Encoding="chunked")),
    "reset": _reset,
    "malformed_json": says(answer(b'{"traces":[}')),
    "invalid_utf8": says(answer(b'{"traces":[{"traceID":"\xff\xfe"}]}')),
    "wrong_type": says(answer(json.dumps({"traces": {"a": 1}}).encode())),
    "deep_json": says(answer(b'{"traces":' + b"[" * 50_000 + b"]" * 50_000 + b"}")),
    "html_200": says(answer(_HTML, kind="text/html; charset=utf-8")),
    "empty_body": says(answer(b"")),
    "huge": _huge,
    "gzip_bomb": _gzip_bomb,
    "bad_gzip": says(answer(gzip.compress(b'{"traces":[]}')[:-12] + b"not gzip at all", Content_Encoding="gzip")),
    "garbage": says(b"\x16\x03\x01 what is this\r\nno: HTTP\r\n\r\n"),
    "ssh_banner": says(b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n"),
    "redirect": says(answer(b"", status="302 Found", Location="http://169.254.169.254/latest/meta-data/")),
    "unavailable_503": says(answer(b"starting", status="503 Service Unavailable", kind="text/plain")),
    "unauthorised": says(answer(b"no org id\n", status="401 Unauthorized", kind="text/plain")),
    "closes": says(b""),
}


def self_signed(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server context with a certificate nobody vouches for, and that certificate's file."""
    openssl = require("openssl", "openssl")
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert
