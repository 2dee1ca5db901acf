"""Evidence of a case: the items, their bytes, keeping a trace that was only named, and the chain of custody."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from app.analysis.verdict import Verdict
from app.cases import preserve, service, store, verification
from app.cases.evidence import Capture, Item
from app.cases.model import case_name
from app.security.roles import Permission
from app.sources.values import TraceBytes
from app.times import UnixNanos, from_datetime
from app.traces import build, ids, otlp
from app.web import render, words
from app.web.deps import Db, TheClients, TheDatabase, UtcNow, Who, WritingDb, needs
from app.web.routes import case_parts
from app.web.routes.case_add import WHY, collected
from app.web.routes.case_parts import CaseNumber, Numbered
from app.web.routes.cases import Word
from app.web.routes.traces import TheTraces, TheUploads
from app.web.uploads import Origin
from app.web.views.case_evidence import Checked, CustodyLine, CustodyView, EvidenceLine, EvidenceView, ItemView
from app.web.views.cases import page_href

router = APIRouter(include_in_schema=False)

_PAGE = 100

PageNumber = Annotated[int, Query(ge=1, le=10**6)]


@router.get("/cases/{case}/evidence", dependencies=[needs(Permission.READ)])
async def evidence(request: Request, db: Db, who: Who, number: CaseNumber, why: str = "", page: PageNumber = 1) -> Response:
    case = await store.case(db, number)
    above = await case_parts.head(db, case, who, "/evidence")
    pages = max(1, -(-case.evidence_count // _PAGE))
    page = min(page, pages)
    view = EvidenceView(
        head=above,
        items=await case_parts.evidence_lines(db, case, limit=_PAGE, offset=(page - 1) * _PAGE),
        size=await store.evidence_size(db, number),
        waiting=tuple(await store.traces_without_evidence(db, number)),
        problem=WHY.get(why, ""),
        total=case.evidence_count,
        previous=page_href(f"{above.href}/evidence", page - 1) if page > 1 else "",
        next=page_href(f"{above.href}/evidence", page + 1) if page < pages else "",
    )
    return render.page(request, "cases/evidence.html", view)


@router.post("/cases/{case}/evidence", dependencies=[needs(Permission.CASE_WRITE)])
async def keep(
    db: Db, who: Who, at: UtcNow, clients: TheClients, traces: TheTraces, number: CaseNumber, trace: Word = ""
) -> Response:
    """Keep a trace by its id, as its source has it now."""
    trace_id = ids.trace_id(trace)
    found = await collected(traces, trace_id, await preserve.version_of(clients.tempo) if clients.tempo else "")
    place = f"/cases/{case_name(number)}/evidence"
    if isinstance(found, Capture):
        kept = await preserve.preserve_trace(db, number, found, by=who, at=at)
        return RedirectResponse(f"{place}#{kept.item.name}", 303)
    await service.link_trace(db, number, trace_id, by=who, at=at)
    return RedirectResponse(f"{place}?why={found}", 303)


@router.get("/cases/{case}/evidence/{item}", dependencies=[needs(Permission.READ)])
async def show(request: Request, db: Db, who: Who, number: CaseNumber, item: Numbered) -> Response:
    case = await store.case(db, number)
    kept = await store.evidence_item(db, number, item)
    verdict = _verdict(kept.item)
    above = await case_parts.head(db, case, who, "/evidence")
    view = ItemView(
        head=above,
        line=EvidenceLine.of(kept, above.name, verdict.outcome if verdict else ""),
        item=kept.item,
        verdict=verdict,
        layer=words.layer(verdict.layer) if verdict else "",
        layers=tuple((words.layer(one.layer), one.service, one.decision.value, one.reason) for one in verdict.layers)
        if verdict
        else (),
        effects=tuple(f"{words.EFFECT[one.kind]} {one.target}, {one.service}" for one in verdict.side_effects)
        if verdict
        else (),
        findings=tuple((*words.FINDING[one.kind], one.detail) for one in verdict.findings) if verdict else (),
        copy_href=f"{above.href}/evidence/{item}/trace",
    )
    return render.page(request, "cases/item.html", view)


@router.get("/cases/{case}/evidence/{item}/raw", dependencies=[needs(Permission.READ)])
async def raw(db: WritingDb, who: Who, at: UtcNow, number: CaseNumber, item: Numbered) -> Response:
    """The bytes as they were received, with their SHA-256. Handing them out is recorded."""
    kept, body = await verification.hand_out(db, number, item, by=who, at=at)
    return raw_answer(number, kept, body)


def raw_answer(number: int, kept: Item, body: bytes) -> Response:
    is_json = "json" in kept.media_type
    name = f"{case_name(number)}-{kept.name}-{kept.trace_id}.{'json' if is_json else 'pb'}"
    headers = {"Content-Disposition": case_parts.attachment(name), "X-Content-SHA256": kept.sha256, "Cache-Control": "no-store"}
    # Never the media type that a source claimed, if it is another: a browser would believe it.
    return Response(body, media_type="application/json" if is_json else "application/protobuf", headers=headers)


@router.get("/cases/{case}/evidence/{item}/trace", dependencies=[needs(Permission.READ)])
async def stored_copy(db: Db, who: Who, traces: TheTraces, uploads: TheUploads, number: CaseNumber, item: Numbered) -> Response:
    """The trace's page from the bytes that were kept, whether its source still has them or not."""
    kept, body = await verification.bytes_of(db, number, item)
    trace = await asyncio.to_thread(lambda: build.build(otlp.decode(body, kept.media_type)))
    received = TraceBytes(
        trace.trace_id, body, kept.media_type, kept.source_url, kept.tenant, UnixNanos(kept.received_ns), partial=trace.partial,
        note=kept.completeness_note,
    )  # fmt: skip
    origin = Origin(f"evidence {kept.name} of {case_name(number)}", f"/cases/{case_name(number)}/evidence/{kept.number}")
    key = uploads.put(await traces.judged(trace, received), who.id, origin)
    return RedirectResponse(f"/uploads/{key}", 303)


@router.post("/cases/{case}/verify", dependencies=[needs(Permission.CASE_WRITE)])
async def verify(database: TheDatabase, who: Who, at: UtcNow, number: CaseNumber) -> Response:
    """Check the case against its chain of custody, and write down what was found."""
    async with database.reading() as db:
        found = await verification.check(db, number)
    async with database.writing() as db:
        await verification.record(db, number, found, by=who, at=at)
    return RedirectResponse(f"/cases/{case_name(number)}/custody", 303)


@router.get("/cases/{case}/custody", dependencies=[needs(Permission.READ)])
async def custody(request: Request, db: Db, who: Who, number: CaseNumber, page: PageNumber = 1) -> Response:
    case = await store.case(db, number)
    above = await case_parts.head(db, case, who, "/custody")
    pages = max(1, -(-case.custody_count // _PAGE))
    page = min(page, pages)
    links = await store.last_links(db, number, limit=_PAGE, offset=(page - 1) * _PAGE)
    last = await verification.last(db, number)
    checked = None
    if last is not None:
        found = str(last.detail.get("found", ""))
        checked = Checked(from_datetime(last.at), last.actor_name, found, last.detail.get("passed") is True)
    view = CustodyView(
        head=above,
        lines=tuple(CustodyLine.of(link) for link in links),
        checked=checked,
        head_hash=case.custody_head.hex(),
        count=case.custody_count,
        previous=page_href(f"{above.href}/custody", page - 1) if page > 1 else "",
        next=page_href(f"{above.href}/custody", page + 1) if page < pages else "",
    )
    return render.page(request, "cases/custody.html", view)


def _verdict(kept: Item) -> Verdict | None:
    """The frozen verdict; None where its words are not those of this version any more."""
    try:
        return msgspec.json.decode(kept.verdict, type=Verdict)
    except msgspec.DecodeError:
        return None
