"""Checking a stored case against its own chain of custody.

First the chain itself, then every thing it speaks of: bytes and facts of evidence, revisions of notes, linked alerts,
events entered by hand. The first entry whose subject no longer fits is named.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator

import msgspec
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.cases import alerts, custody, evidence, ledger, service, store
from app.cases.custody import Action, ChainCheck, Entry, digest_of
from app.cases.model import case_name, evidence_name, note_name
from app.cases.tables import CaseAlertRow, EventRow, EvidenceRow, NoteRevisionRow, NoteRow
from app.cases.timeline import Kind
from app.errors import AppError, EvidenceChanged
from app.security.audit import Act
from app.security.roles import Person
from app.security.tables import AuditRow


class Fault(msgspec.Struct, frozen=True):
    """Something that is not as it was recorded. `seq` is the entry that recorded it, None where no entry did."""

    seq: int | None
    subject: str
    why: str


class Verification(msgspec.Struct, frozen=True):
    """What checking a case found.

    items:     evidence items looked at; unchanged: the numbers of those that are as they were received.
    faults:    what is not as recorded, in the order of the chain.
    """

    chain: ChainCheck
    items: int
    unchanged: tuple[int, ...]
    faults: tuple[Fault, ...]

    @property
    def passed(self) -> bool:
        return self.chain.whole and not self.faults

    @property
    def first_bad(self) -> Fault | None:
        """The first record that is not what it was; None where all are."""
        broken = [] if self.chain.first_bad is None else [Fault(self.chain.first_bad, "the chain", self.chain.why)]
        known = sorted((fault for fault in (*broken, *self.faults) if fault.seq is not None), key=lambda fault: fault.seq or 0)
        return next(iter([*known, *self.faults]), None)

    @property
    def sentence(self) -> str:
        bad = self.first_bad
        if bad is None:
            items = f"{self.items:,} item{'' if self.items == 1 else 's'}"
            return f"All as recorded: {items} of evidence and {self.chain.entries:,} entries of the chain of custody."
        place = "" if bad.seq is None else f"Entry {bad.seq} of the chain of custody: "
        named = "" if bad.why.startswith(bad.subject) else f"{bad.subject}, "
        return f"{place}{named}{bad.why}."


async def check(db: AsyncSession, number: int) -> Verification:
    """Check everything that the case's chain covers. Reads only. Errors: NotFound."""
    case = await store.case(db, number)
    links = [link async for link in store.links(db, number)]
    chain = custody.verify(links, case=case_name(number), head=case.custody_head, count=case.custody_count)
    sound = [link.entry for link in (links if chain.whole else links[: (chain.first_bad or 1) - 1])]
    faults = [fault async for fault in _faults(db, number, sound)]
    if chain.whole:
        faults += await _unrecorded(db, number, {_thing(entry) for entry in sound})
    items = [int(entry.subject[1:]) for entry in sound if entry.action == Action.EVIDENCE_PRESERVED]
    bad = {fault.subject for fault in faults}
    return Verification(chain, len(items), tuple(item for item in items if evidence_name(item) not in bad), tuple(faults))


async def record(db: AsyncSession, number: int, found: Verification, *, by: Person, at: dt.datetime) -> None:
    """Write down that the case was checked and what was found; unchanged items carry the time."""
    case = await store.locked(db, number)
    for start in range(0, len(found.unchanged), 500):
        part = found.unchanged[start : start + 500]
        mine = (EvidenceRow.case_number == number) & EvidenceRow.number.in_(part)
        await db.execute(update(EvidenceRow).where(mine).values(verified_at=at))
    facts: custody.Facts = {"items": found.items, "unchanged": len(found.unchanged), "passed": found.passed}
    await ledger.enter(
        db, case, Action.EVIDENCE_VERIFIED, case_name(number), digest=digest_of(facts), facts=facts, by=by, at=at
    )
    detail = {**facts, "found": found.sentence}
    await ledger.note_act(db, Act.EVIDENCE_VERIFIED, case, by=by, at=at, detail=detail)


async def bytes_of(db: AsyncSession, number: int, item_number: int) -> tuple[evidence.Item, bytes]:
    """An item with its bytes, checked against their hash. Errors: NotFound, EvidenceChanged."""
    kept = await store.evidence_item(db, number, item_number)
    body = await store.evidence_body(db, kept.row_id)
    evidence.check(kept.item, body)
    return kept.item, body or b""


def _thing(entry: Entry) -> str:
    """What exactly an entry speaks of: a note by its revision, an alert by its instance."""
    if entry.action in (Action.NOTE_ADDED, Action.NOTE_EDITED):
        return f"{entry.subject} revision {entry.facts.get('revision')}"
    if entry.action == Action.ALERT_LINKED:
        return f"{entry.subject} since {entry.facts.get('started_ns')}"
    return entry.subject


async def last(db: AsyncSession, number: int) -> AuditRow | None:
    """The record of the last check of a case."""
    checks = select(AuditRow).where(
        AuditRow.subject_kind == "case",
        AuditRow.subject_id == case_name(number),
        AuditRow.act == Act.EVIDENCE_VERIFIED.value,
    )
    return (await db.scalars(checks.order_by(AuditRow.id.desc()).limit(1))).first()


async def hand_out(
    db: AsyncSession, number: int, item_number: int, *, by: Person, at: dt.datetime
) -> tuple[evidence.Item, bytes]:
    """An item with its bytes, checked against their hash, and the record that they were given out.

    Errors: NotFound, EvidenceChanged.
    """
    case = await store.locked(db, number)
    item, body = await bytes_of(db, number, item_number)
    await ledger.enter(db, case, Action.EVIDENCE_DOWNLOADED, item.name, digest=item.sha256, by=by, at=at)
    await ledger.note_act(
        db, Act.EVIDENCE_DOWNLOADED, case, by=by, at=at, detail={"evidence": item.name, "sha256": item.sha256}
    )
    return item, body


async def _faults(db: AsyncSession, number: int, entries: list[Entry]) -> AsyncIterator[Fault]:
    """Go through the chain and look at each thing it speaks of. An alert linked again is held to its last entry."""
    looks = {
        Action.EVIDENCE_PRESERVED: _evidence_fault,
        Action.NOTE_ADDED: _note_fault,
        Action.NOTE_EDITED: _note_fault,
        Action.EVENT_ADDED: _event_fault,
        Action.ALERT_LINKED: _alert_fault,
    }
    last = {_thing(entry): entry.seq for entry in entries}
    for entry in entries:
        look = looks.get(Action(entry.action))
        if look is None or last[_thing(entry)] != entry.seq:
            continue
        try:
            why = await look(db, number, entry)
        except (DBAPIError, ValueError, TypeError):
            why = "it cannot be read any more"  # damaged text does not even leave the database
        if why:
            yield Fault(entry.seq, entry.subject, why)


async def _evidence_fault(db: AsyncSession, number: int, entry: Entry) -> str:
    try:
        kept = await store.evidence_item(db, number, int(entry.subject[1:]))
        evidence.check(kept.item, await store.evidence_body(db, kept.row_id))
    except EvidenceChanged as changed:
        return changed.sentence.rstrip(".")
    except AppError:
        return "the item is missing"
    return "" if kept.item.digest == entry.digest else "what was recorded about the item has changed"


async def _note_fault(db: AsyncSession, number: int, entry: Entry) -> str:
    revision = entry.facts.get("revision")
    row = (
        await db.execute(
            select(NoteRevisionRow.text, NoteRevisionRow.author, NoteRevisionRow.at)
            .join(NoteRow, NoteRow.id == NoteRevisionRow.note_id)
            .where(
                NoteRow.case_number == number, NoteRow.number == int(entry.subject[1:]), NoteRevisionRow.revision == revision
            )
        )
    ).one_or_none()
    if row is None:
        return f"revision {revision} of the note is missing"
    digest = service.note_digest(int(entry.subject[1:]), int(revision or 0), row[0], row[1], row[2])
    return "" if digest == entry.digest else f"revision {revision} of the note has changed"


async def _event_fault(db: AsyncSession, number: int, entry: Entry) -> str:
    rows = (await store.event_rows_of(db, number, [entry.subject])).values()
    row = next(iter(rows), None)
    if row is None:
        return "the event is missing"
    digest = service.entered_digest(row.occurred_ns, row.title, row.detail, row.actor)
    return "" if digest == entry.digest else "the event has changed"


async def _alert_fault(db: AsyncSession, number: int, entry: Entry) -> str:
    row = await store.alert_row(db, number, entry.subject, int(entry.facts.get("started_ns") or 0))
    if row is None:
        return "the alert is missing"
    return "" if alerts.digest(row.snapshot) == entry.digest else "what was kept of the alert has changed"


async def _unrecorded(db: AsyncSession, number: int, recorded: set[str]) -> list[Fault]:
    """Things that stand in the case although no entry ever put them there."""
    items = select(EvidenceRow.number).where(EvidenceRow.case_number == number).order_by(EvidenceRow.number)
    there = [evidence_name(item) for item in await db.scalars(items)]
    revisions = (
        select(NoteRow.number, NoteRevisionRow.revision)
        .join(NoteRevisionRow, NoteRevisionRow.note_id == NoteRow.id)
        .where(NoteRow.case_number == number)
        .order_by(NoteRow.number, NoteRevisionRow.revision)
    )
    there += [f"{note_name(note)} revision {revision}" for note, revision in await db.execute(revisions)]
    there += await db.scalars(select(EventRow.key).where(EventRow.case_number == number, EventRow.kind == Kind.ENTERED.value))
    linked = select(CaseAlertRow.fingerprint, CaseAlertRow.started_ns).where(CaseAlertRow.case_number == number)
    there += [f"{fingerprint} since {started_ns}" for fingerprint, started_ns in await db.execute(linked)]
    return [Fault(None, thing, "no entry of the chain of custody speaks of it") for thing in there if thing not in recorded]
