"""The way in: `/`, and from what somebody pastes to where it is: a trace id, a case number, else a search of the alerts."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from app.security.roles import Permission
from app.web.deps import needs

router = APIRouter(include_in_schema=False)
_TRACE = re.compile(r"(?:0x)?([0-9a-f]{16}|[0-9a-f]{32})")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # some tools print trace ids so
_CASE = re.compile(r"case-\d{1,9}")


@router.get("/", dependencies=[needs(Permission.READ)])
async def front(request: Request) -> Response:
    places = request.app.state.places
    return RedirectResponse(places[0][1] if places else "/patterns", 303)


@router.get("/jump", dependencies=[needs(Permission.READ)])
async def jump(q: str = "") -> Response:
    return RedirectResponse(destination(q), 303)


def destination(pasted: str) -> str:
    """The path that shows what was pasted."""
    wanted = pasted.strip()[:200]
    lower = wanted.lower()
    if _UUID.fullmatch(lower):
        lower = lower.replace("-", "")
    trace = _TRACE.fullmatch(lower)
    if trace:
        return f"/traces/{trace[1]}"
    if _CASE.fullmatch(lower):
        return f"/cases/{lower.upper()}"
    return f"/alerts?{urlencode({'q': wanted})}" if wanted else "/"
