"""Searching traces: by fields that become TraceQL, or by the person's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from app.errors import InvalidInput, SourceError, SourceRefused
from app.investigation import asking
from app.investigation.asking import Ended, Fields, Window
from app.investigation.searching import Searching
from app.security.roles import Permission
from app.times import SECOND, UnixNanos
from app.traceql.lexer import TraceQLError
from app.traceql.write import write
from app.web import render
from app.web.deps import Now, needs
from app.web.routes.api import FAILURES
from app.web.views.parts import Failure
from app.web.views.search import SearchView, Sought, as_json, found_view, window_words

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["traces"], responses=FAILURES)

_SAME_NS = 20 * SECOND  # searches up to "now" that are this close in time are one: the pages and filters of one result


async def _sought(
    service: Annotated[str, Query(max_length=300)] = "",
    principal: Annotated[str, Query(max_length=300)] = "",
    address: Annotated[str, Query(max_length=100)] = "",
    route: Annotated[str, Query(max_length=500)] = "",
    reason: Annotated[str, Query(max_length=200)] = "",
    ended: Annotated[str, Query(max_length=20)] = "",
    q: Annotated[str, Query(max_length=20_000)] = "",
    last: Annotated[str, Query(max_length=10)] = "",
    start: Annotated[str, Query(max_length=40)] = "",
    end: Annotated[str, Query(max_length=40)] = "",
    verdict: Annotated[str, Query(max_length=30)] = "",
    layer: Annotated[str, Query(max_length=30)] = "",
    page: Annotated[int, Query(ge=1, le=1000)] = 1,
    anyway: Annotated[str, Query(max_length=5)] = "",
) -> Sought:
    known = Ended(ended) if ended in {one.value for one in Ended} else Ended.ANY
    fields = Fields(service.strip(), principal.strip(), address.strip(), route.strip(), reason.strip(), known)
    return Sought(fields, q.strip(), last, start, end, verdict, layer, page, anyway == "1")


WhatIsSought = Annotated[Sought, Depends(_sought)]


def _searching(request: Request) -> Searching | None:
    found: Searching | None = request.app.state.searching
    return found


# None where no Tempo is set up.
TheSearching = Annotated[Searching | None, Depends(_searching)]


@router.get("/search", dependencies=[needs(Permission.READ)])
async def search(request: Request, sought: WhatIsSought, searching: TheSearching, now: Now) -> Response:
    """The form, and what was found. A source that fails is told on the page."""
    view = SearchView(sought, sought.q, services=await searching.services() if searching is not None else ())
    try:
        traceql, window = _asked(sought, now)
    except InvalidInput as error:
        # Tempo may know more TraceQL than Clew does: what only Clew cannot read may be sent all the same.
        anyway = sought.href(anyway="1") if isinstance(error, TraceQLError) else ""
        return render.page(request, "search/show.html", view.refused(error, anyway), status=422)
    if not sought.is_empty:
        view = replace(view, traceql=traceql, window_words=window_words(window))
        view = await _answered(view, searching, window)
    if render.is_fragment(request):
        return render.fragment(request, "search/show.html", "results", view)
    return render.page(request, "search/show.html", view)


async def _answered(view: SearchView, searching: Searching | None, window: Window) -> SearchView:
    if searching is None:
        return replace(view, failure=Failure.of(_NOWHERE))
    try:
        results = await searching.results(view.traceql, window.start_ns, window.end_ns)
    except SourceError as error:
        return replace(view, failure=Failure.of(error, retry_href=view.sought.href()))
    return replace(view, found=found_view(results, await searching.verdicts(results), view.sought))


@api.get("/search", dependencies=[needs(Permission.READ)])
async def search_api(sought: WhatIsSought, searching: TheSearching, now: Now) -> Response:
    """Traces that match, newest first, with their verdicts; where some may be missing, it says when and why."""
    if searching is None:
        raise _NOWHERE
    traceql, window = _asked(sought, now)
    results = await searching.results(traceql, window.start_ns, window.end_ns)
    return JSONResponse(as_json(results, await searching.verdicts(results)))


_NOWHERE = SourceRefused("Tempo", "search", "No Tempo is set up, so there is nothing to search.")


def _asked(sought: Sought, now: UnixNanos) -> tuple[str, Window]:
    """The TraceQL and the window.

    Errors: InvalidInput; TraceQLError where the person's own TraceQL cannot be read and is not to be sent anyway.
    """
    window = asking.window(sought.last, sought.start, sought.end, UnixNanos(now - now % _SAME_NS))
    if not sought.q:
        return write(asking.question(sought.fields)), window
    if not sought.anyway:
        asking.own_words(sought.q)
    return sought.q, window
