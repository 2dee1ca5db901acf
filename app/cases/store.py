"""The questions asked of cases."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.analysis.verdict import Confidence, Layer, Outcome
from app.cases import evidence, timeline
from app.cases.alerts import AlertSnapshot, decode
from app.cases.custody import Link
from app.cases.evidence import Completeness, Item
from app.cases.model import Status, case_name
from app.cases.tables import (
    CaseAlertRow,
    CaseRow,
    CaseTraceRow,
    CustodyRow,
    EventRow,
    EvidenceBytesRow,
    EvidenceRow,
    NoteRevisionRow,
    NoteRow,
)
from app.cases.timeline import Event
from app.errors import NotFound
from app.security.tables import UserRow

_ITEM_FIELDS = [field.name for field in msgspec.structs.fields(Item)]
_EVENT_FIELDS = [field.name for field in msgspec.structs.fields(Event)]
_EVENT_COLUMNS = [getattr(EventRow, name) for name in _EVENT_FIELDS]
_BATCH = 500
ENTITY_KINDS = ("user", "addr", "session", "client", "service")
_ORDER = (EventRow.occurred_ns, EventRow.captured_ns, EventRow.key)  # whole, so that equal cases give equal files


class Note(msgspec.Struct, frozen=True):
    """A note as it reads now. `edited_at` is None for one that still says what it said at first."""

    number: int
    revision: int
    text: str
    author_id: str
    author: str
    written_at: dt.datetime
    edited_at: dt.datetime | None
    edited_by: str


class Kept(msgspec.Struct, frozen=True):
    """An item of evidence and when it was last found unchanged."""

    item: Item
    verified_at: dt.datetime | None
    row_id: str


class LinkedAlert(msgspec.Struct, frozen=True):
    snapshot: AlertSnapshot
    linked_at: dt.datetime
    linked_by: str


class LinkedTrace(msgspec.Struct, frozen=True):
    trace_id: str
    linked_at: dt.datetime
    linked_by: str


class Shown(msgspec.Struct, frozen=True):
    """An event with the id of its row, for a page that can mark it."""

    id: str
    event: Event


class Filter(msgspec.Struct, frozen=True):
    """Which events of a timeline: all kinds when `kinds` is empty. Hidden ones only where asked for."""

    kinds: tuple[timeline.Kind, ...] = ()
    starred: bool = False
    hidden: bool = False
    start_ns: int | None = None
    end_ns: int | None = None


class Total(msgspec.Struct, frozen=True):
    """How many events of one kind and with the same marks there are, and from when to when."""

    kind: timeline.Kind
    starred: bool
    hidden: bool
    count: int
    first_ns: int
    last_ns: int


class Bucket(msgspec.Struct, frozen=True):
    """How many events of one kind, layer and outcome fall into one slice of the picture."""

    slot: int
    kind: timeline.Kind
    layer: Layer | None
    outcome: Outcome | None
    count: int


# Cases


async def case(db: AsyncSession, number: int) -> CaseRow:
    """Errors: NotFound."""
    row = await db.get(CaseRow, number)
    if row is None:
        raise _no_case(number)
    return row


async def locked(db: AsyncSession, number: int) -> CaseRow:
    """The case, read anew and held until the transaction ends, so that its counters and its chain cannot fork.

    SQLite needs no row lock: its writing transaction is exclusive from its first statement on.
    """
    row = await db.get(CaseRow, number, with_for_update=True, populate_existing=True)
    if row is None:
        raise _no_case(number)
    return row


async def cases(db: AsyncSession, *, status: Status | None = None, limit: int, offset: int = 0) -> Sequence[CaseRow]:
    """Cases, the last changed first."""
    rows = select(CaseRow).order_by(CaseRow.changed_at.desc(), CaseRow.number.desc()).limit(limit).offset(offset)
    return (await db.scalars(rows.where(CaseRow.status == status.value) if status else rows)).all()


async def unfinished(db: AsyncSession, *, limit: int = 100) -> Sequence[CaseRow]:
    """Cases that can be added to, the last changed first."""
    rows = select(CaseRow).where(CaseRow.status != Status.CLOSED.value)
    return (await db.scalars(rows.order_by(CaseRow.changed_at.desc(), CaseRow.number.desc()).limit(limit))).all()


async def count_by_status(db: AsyncSession) -> dict[Status, int]:
    rows = await db.execute(select(CaseRow.status, func.count()).group_by(CaseRow.status))
    found = {Status(status): count for status, count in rows}
    return {status: found.get(status, 0) for status in Status}


async def names_of_people(db: AsyncSession, ids: Sequence[str]) -> dict[str, str]:
    """User id to the name that pages show."""
    rows = await db.execute(select(UserRow.id, UserRow.display_name).where(UserRow.id.in_(set(ids))))
    return {row[0]: row[1] for row in rows}


async def cases_of_trace(db: AsyncSession, trace_id: str) -> Sequence[CaseRow]:
    """The cases that a trace belongs to, newest first."""
    mine = select(CaseTraceRow.case_number).where(CaseTraceRow.trace_id == trace_id)
    return (await db.scalars(select(CaseRow).where(CaseRow.number.in_(mine)).order_by(CaseRow.number.desc()).limit(50))).all()


async def cases_of_alert(db: AsyncSession, fingerprint: str, started_ns: int | None = None) -> Sequence[CaseRow]:
    """The cases that an alert (one instance of it, where `started_ns` is given) belongs to, newest first."""
    mine = select(CaseAlertRow.case_number).where(CaseAlertRow.fingerprint == fingerprint)
    if started_ns is not None:
        mine = mine.where(CaseAlertRow.started_ns == started_ns)
    return (await db.scalars(select(CaseRow).where(CaseRow.number.in_(mine)).order_by(CaseRow.number.desc()).limit(50))).all()


# What belongs to one case


async def alerts(db: AsyncSession, number: int) -> list[LinkedAlert]:
    rows = await db.scalars(
        select(CaseAlertRow).where(CaseAlertRow.case_number == number).order_by(CaseAlertRow.started_ns, CaseAlertRow.id)
    )
    return [LinkedAlert(decode(row.snapshot), row.linked_at, row.linked_by) for row in rows]


async def alert_row(db: AsyncSession, number: int, fingerprint: str, started_ns: int) -> CaseAlertRow | None:
    rows = select(CaseAlertRow).where(
        CaseAlertRow.case_number == number, CaseAlertRow.fingerprint == fingerprint, CaseAlertRow.started_ns == started_ns
    )
    return (await db.scalars(rows)).one_or_none()


async def traces_without_evidence(db: AsyncSession, number: int) -> list[LinkedTrace]:
    """Traces that were named but not preserved yet."""
    kept = select(EvidenceRow.trace_id).where(EvidenceRow.case_number == number)
    rows = await db.scalars(
        select(CaseTraceRow)
        .where(CaseTraceRow.case_number == number, CaseTraceRow.trace_id.not_in(kept))
        .order_by(CaseTraceRow.linked_at)
        .limit(500)
    )
    return [LinkedTrace(row.trace_id, row.linked_at, row.linked_by) for row in rows]


async def has_trace(db: AsyncSession, number: int, trace_id: str) -> bool:
    rows = select(CaseTraceRow.id).where(CaseTraceRow.case_number == number, CaseTraceRow.trace_id == trace_id)
    return (await db.scalar(rows)) is not None


async def notes(db: AsyncSession, number: int, *, limit: int = 100, offset: int = 0) -> list[Note]:
    """Notes as they read now, newest first."""
    rows = await db.execute(_notes(number).order_by(NoteRow.number.desc()).limit(limit).offset(offset))
    return [_note(row[0], row[1]) for row in rows]


async def note(db: AsyncSession, number: int, note_number: int) -> Note:
    """Errors: NotFound."""
    row = (await db.execute(_notes(number).where(NoteRow.number == note_number))).one_or_none()
    if row is None:
        raise NotFound(f"{case_name(number)} has no note N{note_number}.")
    return _note(row[0], row[1])


async def note_row(db: AsyncSession, number: int, note_number: int) -> NoteRow:
    """Errors: NotFound."""
    rows = select(NoteRow).where(NoteRow.case_number == number, NoteRow.number == note_number)
    row = (await db.scalars(rows)).one_or_none()
    if row is None:
        raise NotFound(f"{case_name(number)} has no note N{note_number}.")
    return row


async def revisions(db: AsyncSession, number: int, note_number: int) -> Sequence[NoteRevisionRow]:
    """What a note said over time, newest first."""
    rows = (
        select(NoteRevisionRow)
        .join(NoteRow, NoteRow.id == NoteRevisionRow.note_id)
        .where(NoteRow.case_number == number, NoteRow.number == note_number)
        .order_by(NoteRevisionRow.revision.desc())
    )
    return (await db.scalars(rows)).all()


async def evidence_items(db: AsyncSession, number: int, *, limit: int = 200, offset: int = 0) -> list[Kept]:
    """Items of evidence in the order they were kept."""
    rows = await db.scalars(
        select(EvidenceRow).where(EvidenceRow.case_number == number).order_by(EvidenceRow.number).limit(limit).offset(offset)
    )
    return [_kept(row) for row in rows]


async def evidence_size(db: AsyncSession, number: int) -> int:
    """Bytes of all items of a case together."""
    return int(await db.scalar(select(func.sum(EvidenceRow.size)).where(EvidenceRow.case_number == number)) or 0)


async def evidence_item(db: AsyncSession, number: int, item_number: int) -> Kept:
    """Errors: NotFound."""
    rows = select(EvidenceRow).where(EvidenceRow.case_number == number, EvidenceRow.number == item_number)
    row = (await db.scalars(rows)).one_or_none()
    if row is None:
        raise NotFound(f"{case_name(number)} has no evidence E{item_number}.")
    return _kept(row)


async def evidence_with_hash(db: AsyncSession, number: int, sha256: str) -> Kept | None:
    row = (await db.scalars(select(EvidenceRow).where(EvidenceRow.case_number == number, EvidenceRow.sha256 == sha256))).first()
    return _kept(row) if row else None


async def newest_evidence_of(db: AsyncSession, number: int, trace_id: str) -> Kept | None:
    """The item that speaks for a trace: its last whole capture, else its last."""
    rows = await db.scalars(
        select(EvidenceRow)
        .where(EvidenceRow.case_number == number, EvidenceRow.trace_id == trace_id)
        .order_by(EvidenceRow.number.desc())
    )
    found = rows.all()
    whole = [row for row in found if row.completeness == Completeness.WHOLE]
    return _kept((whole or found)[0]) if found else None


async def evidence_body(db: AsyncSession, row_id: str) -> bytes | None:
    """The bytes of an item as stored; None where they are gone."""
    return await db.scalar(select(EvidenceBytesRow.body).where(EvidenceBytesRow.evidence_id == row_id))


async def outcomes(db: AsyncSession, number: int, items: Sequence[int]) -> dict[int, str]:
    """What the traces of these items came to, as far as they speak on the timeline: evidence number to outcome."""
    query = select(EventRow.evidence, EventRow.outcome).where(
        EventRow.case_number == number,
        EventRow.kind == timeline.Kind.DECISION.value,
        EventRow.trace_id.in_(
            select(EvidenceRow.trace_id).where(EvidenceRow.case_number == number, EvidenceRow.number.in_(items[:1000]))
        ),
    )
    return {row[0]: row[1] or "" for row in await db.execute(query) if row[0] is not None}


async def outcomes_of_traces(db: AsyncSession, number: int, trace_ids: Sequence[str]) -> dict[str, str]:
    """Trace id to outcome, for those of these traces that the case has."""
    query = select(EventRow.trace_id, EventRow.outcome).where(
        EventRow.case_number == number,
        EventRow.kind == timeline.Kind.DECISION.value,
        EventRow.trace_id.in_(trace_ids[:1000]),
    )
    return {row[0]: row[1] or "" for row in await db.execute(query)}


# The timeline


async def events(db: AsyncSession, number: int, which: Filter, *, limit: int, offset: int = 0) -> list[Shown]:
    """Events in the order they occurred."""
    rows = await db.execute(
        select(EventRow.id, *_EVENT_COLUMNS).where(*_where(number, which)).order_by(*_ORDER).limit(limit).offset(offset)
    )
    return [Shown(row[0], _event(row, 1)) for row in rows]


async def stream_events(db: AsyncSession, number: int, which: Filter) -> AsyncIterator[Event]:
    """All of them, one statement and so one state of the case, in the memory of one batch."""
    query = select(*_EVENT_COLUMNS).where(*_where(number, which)).order_by(*_ORDER)
    # By the batch: row by row, every row would cost a switch between SQLAlchemy's two worlds.
    found = await db.stream(query.execution_options(yield_per=_BATCH))
    async for batch in found.partitions():
        for row in batch:
            yield _event(row, 0)


async def count_events(db: AsyncSession, number: int, which: Filter) -> int:
    return await db.scalar(select(func.count()).select_from(EventRow).where(*_where(number, which))) or 0


async def totals(db: AsyncSession, number: int) -> list[Total]:
    """All events counted by kind and marks, with their times: one look at one index, whatever the length."""
    query = (
        select(
            EventRow.kind, EventRow.starred, EventRow.hidden, func.count(), func.min(EventRow.occurred_ns),
            func.max(EventRow.occurred_ns),
        )
        .where(EventRow.case_number == number)
        .group_by(EventRow.hidden, EventRow.starred, EventRow.kind)
    )  # fmt: skip
    return [Total(timeline.Kind(row[0]), *row[1:]) for row in await db.execute(query)]


async def density(db: AsyncSession, number: int, which: Filter, *, start_ns: int, slot_ns: int) -> list[Bucket]:
    """Events counted in slices of time: the picture of a long timeline without its rows."""
    slot = ((EventRow.occurred_ns - start_ns) // slot_ns).label("slot")
    rows = await db.execute(
        select(slot, EventRow.kind, EventRow.layer, EventRow.outcome, func.count())
        .where(*_where(number, which))
        .group_by(slot, EventRow.kind, EventRow.layer, EventRow.outcome)
        .order_by(slot)
    )
    return [
        Bucket(int(at), timeline.Kind(kind), Layer(layer) if layer else None, Outcome(outcome) if outcome else None, count)
        for at, kind, layer, outcome, count in rows
    ]


async def entities(db: AsyncSession, number: int, *, limit: int = 200) -> list[tuple[str, str, int]]:
    """Whom and what the case speaks of: kind, value and in how many events, the most frequent first."""
    found: list[tuple[str, str, int]] = []
    columns = (EventRow.user, EventRow.source_ip, EventRow.session_id, EventRow.client_id, EventRow.service)
    for kind, column in zip(ENTITY_KINDS, columns, strict=True):
        rows = await db.execute(
            select(column, func.count())
            .where(EventRow.case_number == number, column != "")
            .group_by(column)
            .order_by(func.count().desc(), column)
            .limit(limit)
        )
        found.extend((kind, value, count) for value, count in rows)
    return found


async def named_most(db: AsyncSession, number: int, *, limit: int = 40) -> list[tuple[str, str]]:
    """Whom and what most events speak of: kind and value, found in one look."""
    columns = [EventRow.user, EventRow.source_ip, EventRow.session_id, EventRow.client_id, EventRow.service]
    rows = await db.execute(
        select(*columns).where(EventRow.case_number == number).group_by(*columns).order_by(func.count().desc()).limit(500)
    )
    found = [(kind, value) for row in rows for kind, value in zip(ENTITY_KINDS, row, strict=True) if value]
    ordered = sorted(dict.fromkeys(found), key=lambda one: ENTITY_KINDS.index(one[0]))
    return ordered[:limit]


async def event_rows_of(db: AsyncSession, number: int, keys: Sequence[str]) -> dict[str, EventRow]:
    rows: dict[str, EventRow] = {}
    for start in range(0, len(keys), 500):
        part = keys[start : start + 500]
        query = select(EventRow).where(EventRow.case_number == number, EventRow.key.in_(part))
        rows |= {row.key: row for row in await db.scalars(query)}
    return rows


# Custody


async def links(db: AsyncSession, number: int) -> AsyncIterator[Link]:
    """The chain from its first entry on."""
    query = select(CustodyRow.seq, CustodyRow.record, CustodyRow.prev, CustodyRow.hash).where(CustodyRow.case_number == number)
    found = await db.stream(query.order_by(CustodyRow.seq).execution_options(yield_per=_BATCH))
    async for batch in found.partitions():
        for row in batch:
            yield Link(*row)


async def last_links(db: AsyncSession, number: int, *, limit: int, offset: int = 0) -> list[Link]:
    """The newest entries of the chain first."""
    query = select(CustodyRow.seq, CustodyRow.record, CustodyRow.prev, CustodyRow.hash).where(CustodyRow.case_number == number)
    rows = await db.execute(query.order_by(CustodyRow.seq.desc()).limit(limit).offset(offset))
    return [Link(*row) for row in rows]


def _no_case(number: int) -> NotFound:
    return NotFound(f"There is no {case_name(number)}.")


def _notes(number: int) -> Select[NoteRow, NoteRevisionRow]:
    return (
        select(NoteRow, NoteRevisionRow)
        .join(NoteRevisionRow, (NoteRevisionRow.note_id == NoteRow.id) & (NoteRevisionRow.revision == NoteRow.revision))
        .where(NoteRow.case_number == number)
    )


def _note(row: NoteRow, now: NoteRevisionRow) -> Note:
    edited = now.revision > 1
    return Note(row.number, now.revision, now.text, row.author_id, row.author, row.written_at,
                now.at if edited else None, now.author if edited else "")  # fmt: skip


def _kept(row: EvidenceRow) -> Kept:
    facts = {name: getattr(row, name) for name in _ITEM_FIELDS}
    facts |= {"kind": evidence.Kind(row.kind), "completeness": Completeness(row.completeness)}
    return Kept(Item(**facts), row.verified_at, row.id)


def _event(row: Row[Any], skip: int) -> Event:
    facts: dict[str, Any] = dict(zip(_EVENT_FIELDS, row[skip:], strict=True))
    facts["kind"] = timeline.Kind(facts["kind"])
    for name, words in (("outcome", Outcome), ("layer", Layer), ("confidence", Confidence)):
        facts[name] = words(facts[name]) if facts[name] else None
    return Event(**facts)


def _where(number: int, which: Filter) -> list[ColumnElement[bool]]:
    said: list[ColumnElement[bool]] = [EventRow.case_number == number]
    if not which.hidden:
        said.append(EventRow.hidden.is_(False))
    if which.starred:
        said.append(EventRow.starred.is_(True))
    if which.kinds:
        said.append(EventRow.kind.in_([kind.value for kind in which.kinds]))
    if which.start_ns is not None:
        said.append(EventRow.occurred_ns >= which.start_ns)
    if which.end_ns is not None:
        said.append(EventRow.occurred_ns <= which.end_ns)
    return said
