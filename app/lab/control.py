"""The lab's hand inside a service: switches for faults, kept outside the instrumented app so that no span shows them.

Routes under /lab ask for the lab's control key. They exist in the sample services only.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.lab.headers import CONTROL_HEADER

# What a load balancer that was written before trace context passes on: everything but these.
TRACE_HEADERS = frozenset({b"traceparent", b"tracestate", b"baggage"})
# Longer than any caller waits.
HANG_S = 8.0

Act = Callable[[Request], Awaitable[Response]]


class Faults(msgspec.Struct, forbid_unknown_fields=True):
    """What is wrong with a service at the moment.

    hang:          it accepts requests and does not answer in time.
    down:          the load balancer in front of it answers 503 in its place.
    strip_context: the hop in front of it drops the trace headers.
    fail_open:     orders goes on where the policy service does not answer.
    ignore_policy: orders notes a policy denial and goes on.
    careless:      debugging was left on: edge-gateway writes tokens onto its spans, identity e-mail addresses.
    free_names:    identity puts the login name into the name of its spans, and so into a label of every metric on them.
    clock_off_s:   its clock is ahead by so many seconds, and so is every span it writes.
    """

    hang: bool = False
    down: bool = False
    strip_context: bool = False
    fail_open: bool = False
    ignore_policy: bool = False
    careless: bool = False
    free_names: bool = False
    clock_off_s: float = 0.0


class Controlled:
    """The outermost application of a service: control routes, and faults that strike before the service sees anything."""

    def __init__(self, app: ASGIApp, faults: Faults, key: str, acts: dict[str, Act]) -> None:
        self._app = app
        self._faults = faults
        self._key = key
        self._acts: dict[str, Act] = {"/lab/health": self._health, "/lab/faults": self._set_faults, **acts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        act = self._acts.get(scope["path"])
        if act is not None:
            request = Request(scope, receive)
            answer = await act(request) if self._allowed(request) else Response(status_code=403)
            return await answer(scope, receive, send)
        if self._faults.hang or self._faults.down:
            await asyncio.sleep(HANG_S if self._faults.hang else 0.0)
            return await Response(status_code=503)(scope, receive, send)
        if self._faults.strip_context:
            scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0].lower() not in TRACE_HEADERS]}
        return await self._app(scope, receive, send)

    def _allowed(self, request: Request) -> bool:
        return hmac.compare_digest(request.headers.get(CONTROL_HEADER, "").encode(), self._key.encode())

    async def _health(self, request: Request) -> Response:
        return Response(status_code=204)

    async def _set_faults(self, request: Request) -> Response:
        try:
            wanted = msgspec.json.decode(await request.body(), type=Faults)
        except msgspec.MsgspecError:
            return Response(status_code=422)
        for field in Faults.__struct_fields__:
            setattr(self._faults, field, getattr(wanted, field))
        return JSONResponse(msgspec.to_builtins(self._faults))
