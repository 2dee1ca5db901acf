"""Preserving a trace: fetched, read and judged first; then bytes, facts and verdict are kept together.

The two halves are apart because the first waits for Tempo and the second holds the database:

    capture = await collect(traces, trace_id)                         no transaction is open
    kept = await preserve_trace(db, number, capture, by=person, at=now)
"""

from __future__ import annotations

import datetime as dt
from typing import Protocol

import msgspec
from sqlalchemy import delete, or_
from sqlalchemy.ext.asyncio import AsyncSession

from app.cases import evidence, ledger, service, store, timeline
from app.cases.custody import Action
from app.cases.evidence import Capture, Item
from app.cases.tables import CaseTraceRow, EventRow, EvidenceBytesRow, EvidenceRow
from app.errors import SourceError, SourceUnavailable, SourceUnreadable
from app.investigation.opened import Opened
from app.security.audit import Act
from app.security.roles import Person
from app.sources.values import BuildInfo
from app.times import UnixNanos, from_datetime
from app.traces import ids


class Opener(Protocol):
    """What opens traces: `app.investigation.opened.OpenTraces`."""

    async def open(self, trace_id: str, *, fresh: bool = False) -> Opened: ...


class Backend(Protocol):
    """What tells its version: `app.sources.tempo.TempoClient`."""

    async def build_info(self) -> BuildInfo: ...


class Preserved(msgspec.Struct, frozen=True):
    """What became of a capture. `fresh` is False where these very bytes were in the case already."""

    item: Item
    fresh: bool


async def collect(
    traces: Opener, trace_id: str, *, backend: str = "", query: str = "", window: tuple[UnixNanos, UnixNanos] | None = None
) -> Capture:
    """The trace as its backend has it now, with the verdict on it.

    backend:       product and version, from `version_of`.
    query, window: how it was found, if by a search.
    Where the backend does not answer, what a page fetched from it a moment ago is taken, if it is still there.
    Errors: NotFound, InvalidInput, SourceError.
    """
    trace_id = ids.trace_id(trace_id)
    try:
        opened = await traces.open(trace_id, fresh=True)
    except SourceUnavailable:
        opened = await traces.open(trace_id)
    if opened.trace.trace_id != trace_id:
        raise SourceUnreadable("Tempo", "trace by id", "Tempo answered with another trace than the one asked for.")
    return Capture(opened.received, opened.trace, opened.verdict, query=query or "trace by id", window=window, backend=backend)


async def version_of(backend: Backend) -> str:
    """Product and version, "" where it does not say: that is no reason not to keep its traces."""
    try:
        info = await backend.build_info()
    except SourceError:
        return ""
    return f"{info.product} {info.version}".strip()


async def preserve_trace(db: AsyncSession, number: int, capture: Capture, *, by: Person, at: dt.datetime) -> Preserved:
    """Keep the capture as evidence of the case and put its decision and effects on the timeline.

    The same bytes twice are one item. A later capture of the same trace is an item of its own; it speaks for the trace
    on the timeline unless it is less whole than an earlier one.
    Errors: NotFound; Conflict on a closed case.
    """
    case = await service.writable(db, number)
    if there := await store.evidence_with_hash(db, number, evidence.sha256(capture.received.body)):
        return Preserved(there.item, fresh=False)
    earlier = await store.newest_evidence_of(db, number, capture.trace.trace_id)
    case.evidence_count += 1
    item = evidence.item(capture, number=case.evidence_count, by=by.display_name, at_ns=from_datetime(at))
    row = EvidenceRow(case_number=number, verified_at=None, **_columns(item))
    db.add(row)
    await db.flush()
    db.add(EvidenceBytesRow(evidence_id=row.id, body=capture.received.body))
    if not await store.has_trace(db, number, item.trace_id):
        db.add(CaseTraceRow(case_number=number, trace_id=item.trace_id, linked_at=at, linked_by=by.display_name))
    await _tell(db, number, capture, item, earlier.item if earlier else None)
    await ledger.enter(db, case, Action.EVIDENCE_PRESERVED, item.name, digest=item.digest,
                       facts={"sha256": item.sha256, "trace_id": item.trace_id}, by=by, at=at)  # fmt: skip
    await ledger.note_act(db, Act.EVIDENCE_ADDED, case, by=by, at=at,
                          detail={"evidence": item.name, "trace": item.trace_id, "sha256": item.sha256})  # fmt: skip
    return Preserved(item, fresh=True)


async def _tell(db: AsyncSession, number: int, capture: Capture, item: Item, earlier: Item | None) -> None:
    """Put the capture on the timeline; where it speaks for its trace, what an earlier one said goes."""
    *story, captured = timeline.of_capture(capture, item)
    if earlier is not None and not evidence.replaces(item.completeness, earlier.completeness):
        story = []
    elif earlier is not None:
        told = [EventRow.key.startswith(prefix, autoescape=True) for prefix in timeline.story_of(item.trace_id)]
        await db.execute(
            delete(EventRow).where(
                EventRow.case_number == number, or_(*told), EventRow.key.not_in([event.key for event in story][:30_000])
            )
        )
    await service.put_events(db, number, (*story, captured))


def _columns(item: Item) -> dict[str, object]:
    return {**msgspec.structs.asdict(item), "kind": item.kind.value, "completeness": item.completeness.value}
