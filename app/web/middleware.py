"""What wraps every request, from the outside in.

Context   who is really asking (trusted proxies), the request's id, secure headers, one log line
Rescue    an error nobody foresaw becomes a page that says so, and a traceback in the log
Origin    unsafe methods only from our own pages
BodyLimit no more of a body than Clew takes, announced or not
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Sequence

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import Forbidden
from app.security import origin, proxies
from app.web import headers

_log = structlog.get_logger("clew.web")

Answer = Callable[[Request, Exception], Awaitable[Response]]


class Context:
    def __init__(self, app: ASGIApp, *, trusted: Sequence[proxies.Network]) -> None:
        self.app = app
        self.trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope)
        peer = scope["client"][0] if scope.get("client") else ""
        address = proxies.client_address(peer, given.getlist("x-forwarded-for"), self.trusted)
        if proxies.is_trusted(peer, self.trusted) and given.get("x-forwarded-proto") in ("http", "https"):
            scope["scheme"] = given["x-forwarded-proto"]
        https = scope["scheme"] == "https"
        request_id = f"{secrets.token_hex(2)}-{secrets.token_hex(2)}"
        scope.setdefault("state", {}).update(request_id=request_id, address=address)
        began, status = time.perf_counter(), 0

        async def send_secured(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                out = MutableHeaders(scope=message)
                out["X-Request-ID"] = request_id
                headers.secure(out, https=https)
            await send(message)

        try:
            await self.app(scope, receive, send_secured)
        finally:
            # The path only: a query may hold what somebody searched for. Files of ours are not worth a line.
            note = _log.debug if scope["path"].startswith("/static/") else _log.info
            note(
                "request", method=scope["method"], path=scope["path"][:200], status=status,
                ms=round((time.perf_counter() - began) * 1000, 1), address=address, request_id=request_id,
            )  # fmt: skip


class Rescue:
    def __init__(self, app: ASGIApp, *, answer: Answer) -> None:
        self.app = app
        self.answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def send_noting(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, send_noting)
        except Exception as error:  # the edge of the house: whatever it was, the reader gets words
            request = Request(scope, receive)
            _log.error("unforeseen", request_id=request.state.request_id, path=scope["path"][:200], exc_info=error)
            if started:
                raise  # too late for words: the server cuts the connection, so that half an answer is not taken for all
            response = await self.answer(request, error)
            await response(scope, receive, send)


class BodyLimit:
    """FastAPI's own limit answers from outside this app, without our words and headers; this one is an error like others."""

    def __init__(self, app: ASGIApp, *, most: int, answer: Answer) -> None:
        self.app = app
        self.most = most
        self.answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and int(announced) > self.most:
            response = await self.answer(Request(scope, receive), HTTPException(413))
            await response(scope, receive, send)
            return
        taken = 0

        async def receive_counting() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.most:
                raise HTTPException(413)
            return message

        await self.app(scope, receive_counting, send)


class Origin:
    def __init__(self, app: ASGIApp, *, trusted_hosts: Collection[str], answer: Answer) -> None:
        self.app = app
        self.trusted_hosts = trusted_hosts
        self.answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            given = Headers(scope=scope)
            reason = origin.refusal(
                scope["method"],
                fetch_site=given.get("sec-fetch-site"),
                origin=given.get("origin"),
                host=given.get("host"),
                trusted_hosts=self.trusted_hosts,
            )
            if reason:
                request = Request(scope, receive)
                _log.warning("cross_site_refused", request_id=request.state.request_id, reason=reason)
                response = await self.answer(request, Forbidden(f"Clew refused this request: {reason}. Nothing was changed."))
                await response(scope, receive, send)
                return
        await self.app(scope, receive, send)
