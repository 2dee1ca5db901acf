"""Cases in the JSON API: the same verbs as the pages, the same rules."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from app.cases import alerts, formats, preserve, service, store, verification
from app.cases.formats import Sheet
from app.cases.model import Format, Severity, Status, Tlp, case_name, moment
from app.cases.service import Changes
from app.cases.store import Filter, Kept, Note
from app.cases.tables import CaseRow
from app.cases.timeline import Kind
from app.investigation.service import Investigation
from app.security.roles import Permission
from app.times import iso
from app.web.deps import Db, Now, TheClients, TheDatabase, TheSettings, UtcNow, Who, WritingDb, needs
from app.web.routes.api import FAILURES
from app.web.routes.case_evidence import raw_answer
from app.web.routes.case_parts import CaseNumber, Numbered
from app.web.routes.case_timeline import exported
from app.web.routes.traces import TheTraces

router = APIRouter(prefix="/api/v1/cases", tags=["cases"], responses=FAILURES)

Limit = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int, Query(ge=0, le=10**9)]


class CaseOut(BaseModel):
    """A case."""

    name: str = Field(examples=["CASE-0042"])
    title: str
    status: Status
    severity: Severity
    tlp: Tlp
    tags: list[str]
    summary: str
    opened_at: dt.datetime
    opened_by: str
    closed_at: dt.datetime | None
    changed_at: dt.datetime
    version: int = Field(description="Send it back with a change; 409 if somebody was quicker")
    evidence: int = Field(description="Items of evidence")
    notes: int
    custody: int = Field(description="Entries of the chain of custody")
    custody_head: str = Field(description="Hash of its last entry")

    @classmethod
    def of(cls, case: CaseRow) -> CaseOut:
        return cls(
            name=case_name(case.number), title=case.title, status=Status(case.status), severity=Severity(case.severity),
            tlp=Tlp(case.tlp), tags=case.tags, summary=case.summary, opened_at=case.opened_at, opened_by=case.opened_by,
            closed_at=case.closed_at, changed_at=case.changed_at, version=case.version, evidence=case.evidence_count,
            notes=case.note_count, custody=case.custody_count, custody_head=case.custody_head.hex(),
        )  # fmt: skip


class CasesOut(BaseModel):
    cases: list[CaseOut]
    total: int


class NewCase(BaseModel):
    title: str
    severity: Severity = Severity.WARNING
    tlp: Tlp = Tlp.AMBER
    summary: str = ""
    tags: list[str] = []


class CaseChange(BaseModel):
    """Fields that are left out stay as they are."""

    title: str | None = None
    status: Status | None = None
    severity: Severity | None = None
    tlp: Tlp | None = None
    assignee: str | None = Field(None, description="A user's name; empty takes it away")
    tags: list[str] | None = None
    summary: str | None = None
    version: int | None = None


class NoteOut(BaseModel):
    number: int
    revision: int
    text: str = Field(description="Markdown as it was written")
    author: str
    written_at: dt.datetime
    edited_at: dt.datetime | None
    edited_by: str

    @classmethod
    def of(cls, note: Note) -> NoteOut:
        return cls(
            number=note.number, revision=note.revision, text=note.text, author=note.author, written_at=note.written_at,
            edited_at=note.edited_at, edited_by=note.edited_by,
        )  # fmt: skip


class NewNote(BaseModel):
    text: str


class NoteChange(BaseModel):
    text: str
    revision: int = Field(description="The revision that was edited; 409 if there is a newer one")


class EvidenceOut(BaseModel):
    """An item of evidence. Its bytes are at `raw`."""

    name: str = Field(examples=["E3"])
    kind: str
    trace_id: str
    title: str
    sha256: str
    size: int
    media_type: str
    source_url: str
    tenant: str
    query: str
    backend: str
    completeness: str = Field(description="whole, partial or truncated")
    completeness_note: str
    received_at: str
    captured_at: str
    captured_by: str
    clew_version: str
    verified_at: dt.datetime | None
    raw: str
    verdict: str = Field(description="The verdict frozen with the bytes, as JSON text")

    @classmethod
    def of(cls, kept: Kept, number: int) -> EvidenceOut:
        item = kept.item
        return cls(
            name=item.name, kind=item.kind.value, trace_id=item.trace_id, title=item.title, sha256=item.sha256, size=item.size,
            media_type=item.media_type, source_url=item.source_url, tenant=item.tenant, query=item.query, backend=item.backend,
            completeness=item.completeness.value, completeness_note=item.completeness_note,
            received_at=iso(item.received_ns), captured_at=iso(item.captured_ns), captured_by=item.captured_by,
            clew_version=item.clew_version, verified_at=kept.verified_at, verdict=item.verdict,
            raw=f"/api/v1/cases/{case_name(number)}/evidence/{item.number}/raw",
        )  # fmt: skip


class NewEvidence(BaseModel):
    trace_id: str
    query: str = Field("", description="How the trace was found")


class EvidenceKept(BaseModel):
    evidence: EvidenceOut
    fresh: bool = Field(description="False where these very bytes were in the case already")


class NewAlert(BaseModel):
    key: str = Field(description="The alert's key, as /api/v1/alerts gives it")


class Linked(BaseModel):
    fingerprint: str
    fresh: bool = Field(description="False where the case had the alert just so")


class NewEvent(BaseModel):
    occurred: str = Field(description="RFC 3339; without an offset UTC", examples=["2026-11-21T03:09:40Z"])
    title: str
    detail: str = ""


class TimelineOut(BaseModel):
    events: list[dict[str, Any]] = Field(description="The objects of the JSON Lines export, each with its id")
    total: int


class Fault(BaseModel):
    seq: int | None = Field(description="The entry of the chain that recorded it; null where none did")
    subject: str
    why: str


class Verified(BaseModel):
    passed: bool
    sentence: str
    entries: int
    items: int
    first_bad: Fault | None
    faults: list[Fault]


class CustodyOut(BaseModel):
    entries: list[dict[str, Any]] = Field(description="Newest first: the record as it was hashed, prev and hash")
    total: int
    head: str


@router.get("", dependencies=[needs(Permission.READ)])
async def list_cases(db: Db, status: Status | None = None, limit: Limit = 100, offset: Offset = 0) -> CasesOut:
    """Cases, the last changed first."""
    counts = await store.count_by_status(db)
    rows = await store.cases(db, status=status, limit=limit, offset=offset)
    return CasesOut(cases=[CaseOut.of(row) for row in rows], total=counts[status] if status else sum(counts.values()))


@router.post("", status_code=201, dependencies=[needs(Permission.CASE_WRITE)])
async def open_case(db: Db, who: Who, at: UtcNow, new: NewCase) -> CaseOut:
    """A new, open case."""
    return CaseOut.of(await service.open_case(db, **new.model_dump(), by=who, at=at))


@router.get("/{case}", dependencies=[needs(Permission.READ)])
async def one_case(db: Db, number: CaseNumber) -> CaseOut:
    return CaseOut.of(await store.case(db, number))


@router.patch("/{case}", dependencies=[needs(Permission.CASE_WRITE)])
async def change_case(db: Db, who: Who, at: UtcNow, number: CaseNumber, change: CaseChange) -> CaseOut:
    """Change some of its fields."""
    given = change.model_dump(exclude={"version"})
    case = await service.change_case(db, number, Changes(**given), version=change.version, by=who, at=at)
    return CaseOut.of(case)


@router.get("/{case}/notes", dependencies=[needs(Permission.READ)])
async def list_notes(db: Db, number: CaseNumber, limit: Limit = 100, offset: Offset = 0) -> list[NoteOut]:
    """Notes, newest first."""
    await store.case(db, number)
    return [NoteOut.of(note) for note in await store.notes(db, number, limit=limit, offset=offset)]


@router.post("/{case}/notes", status_code=201, dependencies=[needs(Permission.CASE_WRITE)])
async def add_note(db: Db, who: Who, at: UtcNow, number: CaseNumber, new: NewNote) -> NoteOut:
    return NoteOut.of(await service.add_note(db, number, new.text, by=who, at=at))


@router.put("/{case}/notes/{note}", dependencies=[needs(Permission.CASE_WRITE)])
async def edit_note(db: Db, who: Who, at: UtcNow, number: CaseNumber, note: Numbered, change: NoteChange) -> NoteOut:
    """New words for a note; the old ones stay in its history."""
    return NoteOut.of(await service.edit_note(db, number, note, change.text, revision=change.revision, by=who, at=at))


@router.get("/{case}/evidence", dependencies=[needs(Permission.READ)])
async def list_evidence(db: Db, number: CaseNumber, limit: Limit = 100, offset: Offset = 0) -> list[EvidenceOut]:
    """Items of evidence in the order they were kept."""
    await store.case(db, number)
    return [EvidenceOut.of(kept, number) for kept in await store.evidence_items(db, number, limit=limit, offset=offset)]


@router.post("/{case}/evidence", status_code=201, dependencies=[needs(Permission.CASE_WRITE)])
async def keep_trace(
    db: Db, who: Who, at: UtcNow, clients: TheClients, traces: TheTraces, number: CaseNumber, new: NewEvidence
) -> EvidenceKept:
    """Keep a trace, as its source has it now, with the verdict on it."""
    backend = await preserve.version_of(clients.tempo) if clients.tempo else ""
    capture = await preserve.collect(traces, new.trace_id, backend=backend, query=new.query)
    kept = await preserve.preserve_trace(db, number, capture, by=who, at=at)
    item = await store.evidence_item(db, number, kept.item.number)
    return EvidenceKept(evidence=EvidenceOut.of(item, number), fresh=kept.fresh)


@router.get("/{case}/evidence/{item}", dependencies=[needs(Permission.READ)])
async def one_item(db: Db, number: CaseNumber, item: Numbered) -> EvidenceOut:
    return EvidenceOut.of(await store.evidence_item(db, number, item), number)


@router.get("/{case}/evidence/{item}/raw", dependencies=[needs(Permission.READ)])
async def raw(db: WritingDb, who: Who, at: UtcNow, number: CaseNumber, item: Numbered) -> Response:
    """The bytes as received, SHA-256 in X-Content-SHA256. Handing them out is recorded."""
    kept, body = await verification.hand_out(db, number, item, by=who, at=at)
    return raw_answer(number, kept, body)


@router.post("/{case}/alerts", status_code=201, dependencies=[needs(Permission.CASE_WRITE)])
async def link_alert(
    request: Request, db: Db, who: Who, at: UtcNow, now: Now, number: CaseNumber, new: NewAlert
) -> Linked:  # fmt: skip
    """Link an alert as it stands now; linked again it is brought up to date."""
    investigation: Investigation = request.app.state.investigation
    seen = await investigation.alert(new.key, now_ns=now)
    snapshot = alerts.of_episode(seen.alert, read_ns=now)
    fresh = await service.link_alert(db, number, snapshot, by=who, at=at)
    return Linked(fingerprint=snapshot.fingerprint, fresh=fresh)


@router.get("/{case}/timeline", dependencies=[needs(Permission.READ)])
async def timeline(
    db: Db, settings: TheSettings, number: CaseNumber, kind: Kind | None = None, starred: bool = False, hidden: bool = False,
    limit: Limit = 200, offset: Offset = 0,
) -> TimelineOut:  # fmt: skip
    """Events in the order they occurred."""
    await store.case(db, number)
    which = Filter(kinds=(kind,) if kind else (), starred=starred, hidden=hidden)
    sheet = Sheet(case_name(number), settings.web.public_url)
    found = await store.events(db, number, which, limit=limit, offset=offset)
    events: list[dict[str, Any]] = [
        {"id": one.id, **formats.row(one.event, sheet), "hidden": one.event.hidden} for one in found
    ]
    return TimelineOut(events=events, total=await store.count_events(db, number, which))


@router.post("/{case}/events", status_code=201, dependencies=[needs(Permission.CASE_WRITE)])
async def add_event(db: Db, who: Who, at: UtcNow, settings: TheSettings, number: CaseNumber, new: NewEvent) -> dict[str, Any]:
    """Enter an event by hand."""
    event = await service.add_event(
        db, number, occurred_ns=moment(new.occurred), title=new.title, detail=new.detail, by=who, at=at
    )  # fmt: skip
    return dict(formats.row(event, Sheet(case_name(number), settings.web.public_url)))


@router.post("/{case}/exports", dependencies=[needs(Permission.CASE_EXPORT)], response_class=JSONResponse)
async def export_timeline(
    database: TheDatabase, settings: TheSettings, who: Who, at: UtcNow, number: CaseNumber, format: Format = Format.JSONL,
    hidden: bool = False,
) -> Response:  # fmt: skip
    """The timeline as a file; X-Content-SHA256 and X-Clew-Custody-Head say what was recorded of it."""
    return await exported(database, number, format.value, who, at, public_url=settings.web.public_url, hidden=hidden)


@router.post("/{case}/verify", dependencies=[needs(Permission.CASE_WRITE)])
async def verify(database: TheDatabase, who: Who, at: UtcNow, number: CaseNumber) -> Verified:
    """Check the case against its chain of custody; what was found is recorded."""
    async with database.reading() as db:
        found = await verification.check(db, number)
    async with database.writing() as db:
        await verification.record(db, number, found, by=who, at=at)
    faults = [Fault(seq=fault.seq, subject=fault.subject, why=fault.why) for fault in found.faults]
    bad = found.first_bad
    return Verified(
        passed=found.passed, sentence=found.sentence, entries=found.chain.entries, items=found.items, faults=faults,
        first_bad=Fault(seq=bad.seq, subject=bad.subject, why=bad.why) if bad else None,
    )  # fmt: skip


@router.get("/{case}/custody", dependencies=[needs(Permission.READ)])
async def custody(db: Db, number: CaseNumber, limit: Limit = 100, offset: Offset = 0) -> CustodyOut:
    """The chain of custody, newest first."""
    case = await store.case(db, number)
    entries = [
        {"record": link.record.decode("utf-8", "replace"), "prev": link.prev.hex(), "hash": link.hash.hex()}
        for link in await store.last_links(db, number, limit=limit, offset=offset)
    ]
    return CustodyOut(entries=entries, total=case.custody_count, head=case.custody_head.hex())
