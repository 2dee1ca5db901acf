"""A refused request beside one of the same route that was let through: the nearest in Tempo, or the one that is named."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.analysis.contrast import Contrast
from app.errors import InvalidInput, NotFound, SourceError
from app.investigation import siblings
from app.investigation.judging import Judge
from app.investigation.opened import Opened, OpenTraces
from app.investigation.service import Investigation
from app.investigation.siblings import Siblings
from app.security.roles import Permission
from app.traces import ids
from app.web import render
from app.web.deps import needs
from app.web.routes.api import FAILURES
from app.web.routes.traces import TheTrace, TheTraces, WhatIsAsked
from app.web.views.contrast import contrast_view, offered

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["traces"], responses=FAILURES)

Against = Annotated[str, Query(max_length=64, description="The id of a trace of the same route that was let through")]


@router.get("/traces/{trace_id}/contrast", dependencies=[needs(Permission.READ)])
async def show(
    request: Request, asked: WhatIsAsked, opened: TheTrace, traces: TheTraces, against: Against = ""
) -> Response:  # fmt: skip
    """The comparison as a page; for htmx its answer alone. Without `against`, with the nearest that is found."""
    named = ids.trace_id(against) if against else ""
    looked_for: Siblings | None = None
    error: SourceError | None = None
    found: Contrast | None = None
    if offered(opened.verdict.outcome):
        try:
            looked_for = await _siblings(request, opened)
        except SourceError as problem:
            error = problem
        named = named or (looked_for.found[0].trace_id if looked_for is not None and looked_for.found else "")
    if named:
        try:
            found = await _contrast(request, opened, traces, named)
        except SourceError as problem:
            error = problem
    view = contrast_view(asked, opened.verdict, against=named, found=found, siblings=looked_for, error=error)
    if render.is_fragment(request):
        return render.fragment(request, "traces/contrast.html", "answer", view, extra={"Vary": "HX-Request"})
    return render.page(request, "traces/contrast.html", view, extra={"Vary": "HX-Request"})


async def _siblings(request: Request, opened: Opened) -> Siblings | None:
    investigation: Investigation = request.app.state.investigation
    tempo, judgements = request.app.state.clients.tempo, investigation.judgements
    if tempo is None or judgements is None:
        return None
    return await siblings.near(tempo, judgements, opened.trace, opened.verdict)


async def _contrast(request: Request, opened: Opened, traces: OpenTraces, against: str) -> Contrast:
    judge: Judge = request.app.state.judge
    try:
        other = await traces.open(against)
    except NotFound:
        raise NotFound(f"Tempo has no trace {against} to compare with.") from None
    return await asyncio.to_thread(judge.contrast, opened.trace, other.trace)


_CONTRAST = {"description": "The comparison", "content": {"application/json": {"schema": {"type": "object"}}}}


@api.get(
    "/traces/{trace_id}/contrast",
    dependencies=[needs(Permission.READ)],
    responses={200: _CONTRAST},
    response_class=Response,
)
async def contrast(request: Request, trace_id: str, traces: TheTraces, against: Against = "") -> Response:
    """Where a refused request parts from one that was let through: the object that `clew explain --against` prints."""
    opened = await traces.open(ids.trace_id(trace_id))
    named = ids.trace_id(against) if against else ""
    if not named and offered(opened.verdict.outcome):
        looked_for = await _siblings(request, opened)
        named = looked_for.found[0].trace_id if looked_for is not None and looked_for.found else ""
    if not named:
        raise InvalidInput("Name a trace to compare with: none of this route that was let through was found.", field="against")
    return Response(msgspec.json.encode(await _contrast(request, opened, traces, named)), media_type="application/json")
