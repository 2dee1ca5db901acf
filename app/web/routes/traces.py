"""One trace: its page, its parts as fragments, its bytes; and traces that somebody uploads."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from starlette.datastructures import UploadFile
from starlette.responses import RedirectResponse, Response

from app.cases import store as cases
from app.cases.model import case_name
from app.db.session import Database
from app.errors import NotATrace, NotFound, SourceError
from app.investigation.opened import Opened, OpenTraces
from app.investigation.service import Investigation
from app.security.roles import Permission
from app.sources.values import TraceBytes
from app.traces import build, ids, otlp
from app.web import render
from app.web.deps import Now, TheDatabase, TheRules, TheSettings, Who, needs
from app.web.routes.api import FAILURES
from app.web.uploads import Uploads
from app.web.views.asked import Asked
from app.web.views.span import PAGE, sensitive, span_view
from app.web.views.trace import (
    AbsentView,
    KeptIn,
    Looked,
    Neighbours,
    RowsView,
    SpanPageView,
    UploadView,
    trace_view,
)

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["traces"], responses=FAILURES)

_CASES = 5  # cases named beside a trace
_LARGE = 2_000  # spans from which on a page is worked out in a thread


def _traces(request: Request) -> OpenTraces:
    traces: OpenTraces = request.app.state.traces
    return traces


def _uploads(request: Request) -> Uploads:
    uploads: Uploads = request.app.state.uploads
    return uploads


TheTraces = Annotated[OpenTraces, Depends(_traces)]
TheUploads = Annotated[Uploads, Depends(_uploads)]


async def _asked(
    request: Request,
    span: Annotated[str, Query(max_length=64)] = "",
    show: Annotated[str, Query(max_length=20)] = "",
    service: Annotated[str, Query(max_length=500)] = "",
    find: Annotated[str, Query(max_length=200)] = "",
    start: Annotated[int | None, Query(alias="from", ge=0, le=10**9)] = None,
    alert: Annotated[str, Query(max_length=200)] = "",
) -> Asked:
    """What the address asks for.

    Errors: InvalidInput for what is no trace id.
    """
    key = request.path_params.get("key", "")
    trace_id = "" if key else ids.trace_id(request.path_params["trace_id"])
    base = f"/uploads/{quote(key, safe='')}" if key else ""
    path_only = "path" if show == "path" else ""
    return Asked(trace_id, span.lower(), path_only, service, find.strip(), start, alert, base)


WhatIsAsked = Annotated[Asked, Depends(_asked)]


async def _opened(request: Request, asked: WhatIsAsked, who: Who, traces: TheTraces, uploads: TheUploads) -> Opened:
    """The trace that the address names: from Tempo, or an upload of this person.

    Errors: NotFound, SourceError.
    """
    if asked.base:
        key = request.path_params["key"]
        kept = uploads.get(key, who.id)
        opened = await traces.current(kept)
        if opened is not kept:
            uploads.renew(key, opened)
        return opened
    return await traces.open(asked.trace_id, fresh=request.query_params.get("fresh") == "1")


TheTrace = Annotated[Opened, Depends(_opened)]


async def _looked(request: Request, opened: Opened) -> Looked:
    stated = request.app.state.judge.stated
    if len(opened.trace) <= _LARGE:
        return Looked.at(opened, stated)
    return await asyncio.to_thread(Looked.at, opened, stated)


# ------------------------------------------------------------------------------------------------------------- uploads


@router.get("/traces/upload", dependencies=[needs(Permission.CASE_WRITE)])
async def upload_form(request: Request) -> Response:
    return render.page(request, "traces/upload.html", UploadView())


@router.post("/traces/upload", dependencies=[needs(Permission.CASE_WRITE)])
async def upload(request: Request, who: Who, now: Now, traces: TheTraces, uploads: TheUploads) -> Response:
    """Read a file or a pasted text as a trace. It is kept in memory for a while and never stored."""
    async with request.form(max_files=1, max_fields=5, max_part_size=32 * 2**20) as form:
        sent, pasted = form.get("file"), str(form.get("text") or "")
        body = await sent.read() if isinstance(sent, UploadFile) and sent.filename else pasted.encode()
    try:
        if not body.strip():
            raise NotATrace("Nothing was sent: choose a file or paste a trace.")
        trace = await asyncio.to_thread(lambda: build.build(otlp.decode(body)))
    except NotATrace as error:
        view = UploadView(text=pasted[:100_000], wrong=error.sentence)
        return render.page(request, "traces/upload.html", view, status=422)
    received = TraceBytes(trace.trace_id, body, _media_type(body), "", "", now, partial=trace.partial)
    key = uploads.put(await traces.judged(trace, received), who.id)
    return RedirectResponse(f"/uploads/{key}", 303)


def _media_type(body: bytes) -> str:
    return "application/json" if body.lstrip()[:1] in (b"{", b"[") else "application/protobuf"


# ---------------------------------------------------------------------------------------------------------- one trace


@router.get("/traces/{trace_id}", dependencies=[needs(Permission.READ)])
@router.get("/uploads/{key}", dependencies=[needs(Permission.READ)])
async def show(
    request: Request, asked: WhatIsAsked, who: Who, settings: TheSettings, traces: TheTraces, uploads: TheUploads,
    database: TheDatabase, live: TheRules,
) -> Response:  # fmt: skip
    """The page. A source that fails is told on it: the page itself stands."""
    try:
        opened = await _opened(request, asked, who, traces, uploads)
    except NotFound as error:
        view = AbsentView.gone(asked, error, await _kept(database, asked.trace_id))
        return render.page(request, "traces/absent.html", view, status=404)
    except SourceError as error:
        absent = AbsentView.failed(asked, error, _health(request), await _kept(database, asked.trace_id))
        return render.page(request, "traces/absent.html", absent)
    if asked.trace_id and request.path_params.get("trace_id") != asked.trace_id:
        return RedirectResponse(asked.href(), 303)  # one address for one trace, whatever zeros were left out
    if "fresh" in request.query_params:
        return RedirectResponse(asked.href(), 303)
    looked = await _looked(request, opened)
    kept = await _kept(database, opened.trace.trace_id)

    def make() -> Any:
        return trace_view(
            looked,
            asked,
            grafana=settings.grafana,
            neighbours=_neighbours(request, asked),
            kept=kept,
            origin=uploads.origin(request.path_params["key"]) if asked.base else None,
            addresses=settings.analysis.client_address_is_pii,
            rules={rule.id: rule.house for rule in live.book.rules},
        )

    view = make() if len(opened.trace) <= _LARGE else await asyncio.to_thread(make)
    return render.page(request, "traces/show.html", view)


async def _kept(database: Database, trace_id: str) -> tuple[KeptIn, ...]:
    """The cases that the trace belongs to, and the evidence that holds it there."""
    if not trace_id:
        return ()
    found = []
    async with database.reading() as db:
        for case in (await cases.cases_of_trace(db, trace_id))[:_CASES]:
            name, item = case_name(case.number), await cases.newest_evidence_of(db, case.number, trace_id)
            if item is None:
                found.append(KeptIn(name, "", f"/cases/{name}"))
            else:
                href = f"/cases/{name}/evidence/{item.item.number}"
                found.append(KeptIn(name, item.item.name, href, f"{href}/trace"))
    return tuple(found)


def _neighbours(request: Request, asked: Asked) -> Neighbours:
    """The traces before and after this one in the list of its alert, as that list was last shown."""
    if not asked.alert:
        return Neighbours()
    investigation: Investigation = request.app.state.investigation
    place = investigation.walks.place(asked.alert, asked.trace_id)
    alert = f"alert={quote(asked.alert, safe='')}"
    href = f"/alerts/{quote(asked.alert, safe='')}"
    if place is None:
        return Neighbours(title="Alert", href=href)
    return Neighbours(
        label=f"Trace {place.number:,} of {place.total:,}",
        title=place.title,
        href=href,
        before=f"/traces/{place.before}?{alert}" if place.before else "",
        after=f"/traces/{place.after}?{alert}" if place.after else "",
    )


def _health(request: Request) -> Any:
    tempo = request.app.state.clients.tempo
    return tempo.health if tempo is not None else None


@router.get("/traces/{trace_id}/rows", dependencies=[needs(Permission.READ)])
@router.get("/uploads/{key}/rows", dependencies=[needs(Permission.READ)])
async def rows(
    request: Request,
    asked: WhatIsAsked,
    opened: TheTrace,
    to: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> Response:
    """A fold, unfolded: spans from `from` to before `to`, at most a window of them."""
    looked = await _looked(request, opened)
    start = asked.start or 0
    found = await asyncio.to_thread(looked.rows, asked, start, to)
    return render.fragment(request, "traces/show.html", "rows", RowsView(asked, found))


@router.get("/traces/{trace_id}/spans/{span_id}", dependencies=[needs(Permission.READ)])
@router.get("/uploads/{key}/spans/{span_id}", dependencies=[needs(Permission.READ)])
async def one_span(request: Request, asked: WhatIsAsked, opened: TheTrace, settings: TheSettings, span_id: str) -> Response:
    """A span: as the panel of the trace page for htmx, else as a page of its own."""
    looked = await _looked(request, opened)
    node = opened.trace.by_id.get(span_id.lower()[:64])
    if node is None:
        raise NotFound(f"This trace has no span {span_id[:16]!r}.")
    vary = {"Vary": "HX-Request"}
    hidden = sensitive(node, addresses=settings.analysis.client_address_is_pii)
    if render.is_fragment(request):
        panel = span_view(looked.reading, node, asked, hidden)
        return render.fragment(request, "traces/show.html", "panel", SpanPageView(asked, panel), extra=vary)
    whole = span_view(looked.reading, node, asked, hidden, PAGE)
    return render.page(request, "traces/span.html", SpanPageView(asked, whole), extra=vary)


@router.get("/traces/{trace_id}/spans/{span_id}/otlp.json", dependencies=[needs(Permission.READ)])
@router.get("/uploads/{key}/spans/{span_id}/otlp.json", dependencies=[needs(Permission.READ)])
async def span_json(opened: TheTrace, span_id: str) -> Response:
    """One span as OTLP JSON, nothing left out."""
    node = opened.trace.by_id.get(span_id.lower()[:64])
    if node is None:
        raise NotFound(f"This trace has no span {span_id[:16]!r}.")
    name = f"{opened.trace.trace_id}-{node.span.span_id}.otlp.json"
    return _download(otlp.encode_json([node.span]), "application/json", name)


@router.get("/traces/{trace_id}/raw", dependencies=[needs(Permission.READ)])
@router.get("/uploads/{key}/raw", dependencies=[needs(Permission.READ)])
async def raw(opened: TheTrace) -> Response:
    """The bytes as received, with their SHA-256."""
    return _raw(opened)


@router.get("/traces/{trace_id}/otlp.json", dependencies=[needs(Permission.READ)])
@router.get("/uploads/{key}/otlp.json", dependencies=[needs(Permission.READ)])
async def normalised(opened: TheTrace) -> Response:
    """The trace as standard OTLP JSON, duplicates left out: what other tools read."""
    spans = [node.span for node in opened.trace.nodes]
    body = await asyncio.to_thread(otlp.encode_json, spans)
    return _download(body, "application/json", f"{opened.trace.trace_id}.otlp.json")


def _raw(opened: Opened) -> Response:
    # Never the media type that a source claimed, if it is another: a browser would believe it.
    is_json = "json" in opened.received.media_type
    media_type, ending = ("application/json", "json") if is_json else ("application/protobuf", "pb")
    answer = _download(opened.received.body, media_type, f"{opened.trace.trace_id}.{ending}")
    answer.headers["X-Content-SHA256"] = opened.sha256
    return answer


def _download(body: bytes, media_type: str, name: str) -> Response:
    return Response(body, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})


# ------------------------------------------------------------------------------------------------------------- the API


_VERDICT = {"description": "The verdict", "content": {"application/json": {"schema": {"type": "object"}}}}
_BYTES = {
    "description": "The bytes as received",
    "headers": {"X-Content-SHA256": {"description": "SHA-256 of the bytes, in hex", "schema": {"type": "string"}}},
    "content": {"application/json": {}, "application/protobuf": {}},
}


@api.get("/traces/{trace_id}", dependencies=[needs(Permission.READ)], responses={200: _VERDICT}, response_class=Response)
async def verdict(trace_id: str, traces: TheTraces) -> Response:
    """The verdict on a trace: the object that `clew explain --json` prints."""
    opened = await traces.open(ids.trace_id(trace_id))
    return Response(msgspec.json.encode(opened.verdict), media_type="application/json")


@api.get("/traces/{trace_id}/raw", dependencies=[needs(Permission.READ)], responses={200: _BYTES}, response_class=Response)
async def raw_bytes(trace_id: str, traces: TheTraces) -> Response:
    """The trace's bytes as Tempo sent them; their SHA-256 is in X-Content-SHA256."""
    return _raw(await traces.open(ids.trace_id(trace_id)))
