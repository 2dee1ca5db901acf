"""Where Alertmanager delivers: its own token, its own limits.

Alertmanager tries again after a 5xx and gives up after any 4xx, 429 included: who is over the rate is told 503.
"""

from __future__ import annotations

import asyncio
import hmac

import structlog
from fastapi import APIRouter, HTTPException, Request
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from starlette.responses import JSONResponse, Response

from app.investigation import service
from app.sources.webhook import MAX_BYTES
from app.web.deps import TheDatabase, TheSettings, UtcNow, own_token

router = APIRouter(include_in_schema=False)

_log = structlog.get_logger("clew.hooks")
_A_MINUTE = RateLimitItemPerMinute(60)
_AT_ONCE = 8
_PATIENCE_S = 10.0


class _Door:
    """The limits of one process. `busy` counts notifications being taken in."""

    def __init__(self) -> None:
        self.rate = MovingWindowRateLimiter(MemoryStorage())
        self.busy = 0


@router.post("/hooks/alertmanager", dependencies=[own_token("the bearer token of CLEW_ALERTMANAGER__WEBHOOK_TOKEN")])
async def alertmanager(request: Request, settings: TheSettings, database: TheDatabase, now: UtcNow) -> Response:
    """Take in one notification. 200 once it is stored; the same again changes nothing."""
    token = settings.alertmanager.webhook_token.get_secret_value()
    if not token:
        raise HTTPException(404, "The webhook is switched off: set CLEW_ALERTMANAGER__WEBHOOK_TOKEN.")
    door = _door(request)
    # Counted before the token is looked at: guessing it is limited too.
    if not await door.rate.hit(_A_MINUTE, "hooks", request.state.address):
        raise HTTPException(503, "More than 60 notifications in a minute. Try again later.", {"Retry-After": "30"})
    if not _knows(request, token):
        _log.warning("webhook_refused", address=request.state.address)
        raise HTTPException(401, "The webhook needs its bearer token.", {"WWW-Authenticate": "Bearer"})
    if door.busy >= _AT_ONCE:
        raise HTTPException(503, "Clew is busy with other notifications. Try again later.", {"Retry-After": "10"})
    door.busy += 1
    try:
        async with asyncio.timeout(_PATIENCE_S):
            body = await _body(request)
            async with database.writing() as db:
                news = await service.receive(db, body, at=now)
    except TimeoutError:
        raise HTTPException(503, "The notification was not stored in time. Try again later.", {"Retry-After": "10"}) from None
    finally:
        door.busy -= 1
    return JSONResponse({"new": news})


def _door(request: Request) -> _Door:
    if not hasattr(request.app.state, "hooks_door"):
        request.app.state.hooks_door = _Door()
    door: _Door = request.app.state.hooks_door
    return door


def _knows(request: Request, token: str) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    # Compared as bytes: compare_digest refuses text that is not ASCII, and a header may hold any byte.
    same = hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode())
    return scheme.lower() == "bearer" and same


async def _body(request: Request) -> bytes:
    """The body, given up as soon as it is larger than a notification may be."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise HTTPException(413)
    return bytes(body)
