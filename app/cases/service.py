"""The verbs on a case: open, change, link, note, enter, mark. Preserving and exporting have files of their own.

Each verb is handed the session, the person and the time, locks its case, leaves one audit row and does not commit.
A closed case can be read and exported; to add to it, reopen it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from app.cases import alerts, ledger, model, notes, store, timeline
from app.cases.alerts import AlertSnapshot
from app.cases.custody import GENESIS, Action, digest_of
from app.cases.model import Severity, Status, Tlp, case_name, note_name
from app.cases.tables import CaseAlertRow, CaseRow, CaseTraceRow, EventRow, NoteRevisionRow, NoteRow
from app.cases.timeline import Event
from app.errors import Conflict, Forbidden, InvalidInput, NotFound
from app.security import store as people
from app.security.audit import Act
from app.security.roles import Person, Role
from app.times import UnixNanos, from_datetime
from app.traces import ids


class Changes(msgspec.Struct, frozen=True):
    """What to change of a case; None leaves a field as it is. `assignee` is a user's name, "" takes it away."""

    title: str | None = None
    status: str | None = None
    severity: str | None = None
    tlp: str | None = None
    assignee: str | None = None
    tags: Sequence[str] | None = None
    summary: str | None = None


async def open_case(
    db: AsyncSession,
    *,
    title: str,
    severity: str = Severity.WARNING,
    tlp: str = Tlp.AMBER,
    summary: str = "",
    tags: Iterable[str] = (),
    by: Person,
    at: dt.datetime,
) -> CaseRow:
    """A new, open case, assigned to whoever opened it. Link the alert or preserve the trace it began with afterwards.

    Errors: InvalidInput names the field.
    """
    case = CaseRow(
        title=model.line(title, field="title", most=model.MAX_TITLE, called="The title", least=1),
        status=Status.OPEN.value,
        severity=_one_of(Severity, severity, "severity").value,
        tlp=_one_of(Tlp, tlp, "tlp").value,
        assignee_id=by.id or None,
        tags=list(model.tags(tags)),
        summary=model.prose(summary, field="summary", most=model.MAX_SUMMARY, called="The summary"),
        version=1,
        opened_at=at,
        opened_by=by.display_name,
        changed_at=at,
        evidence_count=0,
        note_count=0,
        entered_count=0,
        custody_count=0,
        custody_head=GENESIS,
    )
    db.add(case)
    await db.flush()
    opened = {"title": case.title, "severity": case.severity, "tlp": case.tlp}
    await ledger.enter(
        db, case, Action.CASE_OPENED, case_name(case.number), digest=digest_of(opened), facts=opened, by=by, at=at
    )
    await ledger.note_act(db, Act.CASE_OPENED, case, by=by, at=at, detail=opened)
    return case


async def change_case(
    db: AsyncSession, number: int, changes: Changes, *, version: int | None = None, by: Person, at: dt.datetime
) -> CaseRow:
    """The case with the fields that differ changed; nothing is recorded where none does.

    version: the one the form was made of; None where the change does not depend on what was seen (a status button).
    Errors:  Conflict where somebody changed the case since; InvalidInput.
    """
    case = await store.locked(db, number)
    if version is not None and version != case.version:
        raise Conflict(f"{case_name(number)} was changed by somebody else since you opened this form. Nothing was saved.")
    wanted = await _wanted(db, changes)
    moved = {name: {"from": getattr(case, name), "to": value} for name, value in wanted.items() if getattr(case, name) != value}
    if not moved:
        return case
    for name in moved:
        setattr(case, name, wanted[name])
    if "status" in moved:
        case.closed_at = at if case.status == Status.CLOSED else None
    case.version += 1
    if change := moved.pop("assignee_id", None):
        names = await store.names_of_people(db, [one for one in change.values() if one])
        moved["assignee"] = {which: names.get(one, "") for which, one in change.items()}
    await ledger.note_act(db, Act.CASE_CHANGED, case, by=by, at=at, detail=moved)
    return case


async def link_alert(db: AsyncSession, number: int, alert: AlertSnapshot, *, by: Person, at: dt.datetime) -> bool:
    """Put the alert, as it stands, and its changes of state into the case.

    Linked again it is brought up to date, so that an alert that has since resolved says so.
    Gives False where the case already had it just so. Errors: NotFound, Conflict on a closed case.
    """
    case = await writable(db, number)
    row = await store.alert_row(db, number, alert.fingerprint, alert.started_ns)
    kept = alerts.encode(alert)
    if row is not None and _same_alert(alerts.decode(row.snapshot), alert):
        return False
    if row is None:
        row = CaseAlertRow(case_number=number, fingerprint=alert.fingerprint, started_ns=alert.started_ns, snapshot=kept,
                           linked_at=at, linked_by=by.display_name)  # fmt: skip
        db.add(row)
    row.snapshot = kept
    told = timeline.of_alert(alert, captured_ns=from_datetime(at))
    await _forget_alert_events(db, number, alert, {event.key for event in told})
    await put_events(db, number, told)
    await ledger.enter(db, case, Action.ALERT_LINKED, alert.fingerprint, digest=alerts.digest(kept),
                       facts={"name": alert.name[:200], "started_ns": str(alert.started_ns)}, by=by, at=at)  # fmt: skip
    await ledger.note_act(
        db, Act.CASE_LINKED, case, by=by, at=at, detail={"alert": alert.name, "fingerprint": alert.fingerprint}
    )
    return True


async def link_trace(db: AsyncSession, number: int, trace_id: str, *, by: Person, at: dt.datetime) -> bool:
    """Name a trace in the case without its bytes, for when its source cannot be reached now.

    Gives False where the case already had it. Errors: InvalidInput for what is no trace id; Conflict on a closed case.
    """
    case = await writable(db, number)
    trace_id = ids.trace_id(trace_id)
    if await store.has_trace(db, number, trace_id):
        return False
    db.add(CaseTraceRow(case_number=number, trace_id=trace_id, linked_at=at, linked_by=by.display_name))
    await ledger.note_act(db, Act.CASE_LINKED, case, by=by, at=at, detail={"trace": trace_id})
    return True


async def add_note(db: AsyncSession, number: int, text: str, *, by: Person, at: dt.datetime) -> store.Note:
    """A new note. Errors: InvalidInput with the figures where it is empty or too long; Conflict on a closed case."""
    words = notes.accept(text)
    case = await writable(db, number)
    case.note_count += 1
    row = NoteRow(
        case_number=number, number=case.note_count, revision=1, author_id=by.id, author=by.display_name, written_at=at
    )
    db.add(row)
    await db.flush()
    await _revise(db, case, row, words, Action.NOTE_ADDED, by=by, at=at)
    await ledger.note_act(db, Act.NOTE_ADDED, case, by=by, at=at, detail={"note": note_name(row.number)})
    return await store.note(db, number, row.number)


async def edit_note(
    db: AsyncSession, number: int, note_number: int, text: str, *, revision: int, by: Person, at: dt.datetime
) -> store.Note:
    """The note with new words; the old ones stay in its history.

    revision: the one the form was made of. Only its author and admins may edit a note.
    Errors:   Conflict where it was edited since, or the case is closed; Forbidden; InvalidInput; NotFound.
    """
    words = notes.accept(text)
    case = await writable(db, number)
    row = await store.note_row(db, number, note_number)
    if row.author_id != by.id and by.role is not Role.ADMIN:
        raise Forbidden(
            f"{note_name(note_number)} is {row.author}'s. Only its author and admins can edit it.", needs=Role.ADMIN
        )
    before = await store.note(db, number, note_number)
    if before.revision != revision:
        raise Conflict(f"{note_name(note_number)} was edited since you opened it. Nothing was saved; your text is below.")
    if before.text == words:
        return before
    row.revision += 1
    await _revise(db, case, row, words, Action.NOTE_EDITED, by=by, at=at)
    await ledger.note_act(
        db, Act.NOTE_CHANGED, case, by=by, at=at, detail={"note": note_name(note_number), "revision": row.revision}
    )
    return await store.note(db, number, note_number)


async def add_event(
    db: AsyncSession, number: int, *, occurred_ns: UnixNanos, title: str, detail: str = "", by: Person, at: dt.datetime
) -> Event:
    """Something that happened and that no source recorded. Errors: InvalidInput; Conflict on a closed case."""
    words = model.line(title, field="title", most=model.MAX_TITLE, called="What happened", least=1)
    more = model.prose(detail, field="detail", most=model.MAX_DETAIL, called="The detail")
    case = await writable(db, number)
    case.entered_count += 1
    event = timeline.of_person(case.entered_count, occurred_ns=occurred_ns, title=words, detail=more, actor=by.display_name,
                               entered_ns=from_datetime(at))  # fmt: skip
    await put_events(db, number, (event,))
    digest = entered_digest(event.occurred_ns, event.title, event.detail, event.actor)
    await ledger.enter(db, case, Action.EVENT_ADDED, event.key, digest=digest, by=by, at=at)
    await ledger.note_act(db, Act.EVENT_ADDED, case, by=by, at=at, detail={"event": event.key, "title": words})
    return event


async def mark_event(
    db: AsyncSession,
    number: int,
    event_id: str,
    *,
    starred: bool | None = None,
    hidden: bool | None = None,
    by: Person,
    at: dt.datetime,
) -> EventRow:
    """Star an event for the story, or hide it from the timeline; None leaves the mark as it is. Errors: NotFound."""
    case = await writable(db, number)
    row = await db.get(EventRow, event_id) if event_id.isalnum() else None
    if row is None or row.case_number != number:
        raise NotFound(f"{case_name(number)} has no such event.")
    wanted = {"starred": starred, "hidden": hidden}
    moved = {name: value for name, value in wanted.items() if value is not None and getattr(row, name) != value}
    for name, value in moved.items():
        setattr(row, name, value)
    if moved:
        detail = {"event": row.title[:120], "key": row.key, **moved}
        await ledger.note_act(db, Act.EVENT_CHANGED, case, by=by, at=at, detail=detail)
    return row


async def put_events(db: AsyncSession, number: int, events: Sequence[Event]) -> None:
    """Put events on the timeline. One whose key is there already is told anew and keeps its marks."""
    there = await store.event_rows_of(db, number, [event.key for event in events])
    for event in events:
        plain = msgspec.to_builtins(event)
        if row := there.get(event.key):
            for name in plain.keys() - {"key", "starred", "hidden"}:
                setattr(row, name, plain[name])
        else:
            db.add(EventRow(case_number=number, **plain))
    await db.flush()


def entered_digest(occurred_ns: int, title: str, detail: str, actor: str) -> str:
    """What the chain of custody holds an event to that was entered by hand."""
    return digest_of({"occurred_ns": str(occurred_ns), "title": title, "detail": detail, "actor": actor})


def note_digest(number: int, revision: int, text: str, author: str, at: dt.datetime) -> str:
    """What the chain of custody holds one revision of a note to."""
    return digest_of({"note": number, "revision": revision, "text": text, "author": author, "at_ns": str(from_datetime(at))})


async def writable(db: AsyncSession, number: int) -> CaseRow:
    case = await store.locked(db, number)
    if case.status == Status.CLOSED:
        raise Conflict(f"{case_name(number)} is closed. Reopen it to add to it.")
    return case


async def _wanted(db: AsyncSession, changes: Changes) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    if changes.title is not None:
        wanted["title"] = model.line(changes.title, field="title", most=model.MAX_TITLE, called="The title", least=1)
    if changes.status is not None:
        wanted["status"] = _one_of(Status, changes.status, "status").value
    if changes.severity is not None:
        wanted["severity"] = _one_of(Severity, changes.severity, "severity").value
    if changes.tlp is not None:
        wanted["tlp"] = _one_of(Tlp, changes.tlp, "tlp").value
    if changes.tags is not None:
        wanted["tags"] = list(model.tags(changes.tags))
    if changes.summary is not None:
        wanted["summary"] = model.prose(changes.summary, field="summary", most=model.MAX_SUMMARY, called="The summary")
    if changes.assignee is not None:
        wanted["assignee_id"] = await _assignee(db, changes.assignee)
    return wanted


async def _assignee(db: AsyncSession, name: str) -> str | None:
    if not name:
        return None
    row = await people.user_named(db, model.storable(name))
    if row is None or row.disabled_at is not None:
        raise InvalidInput(f"There is no user {name[:80]} to assign the case to.", field="assignee")
    return row.id


async def _revise(
    db: AsyncSession, case: CaseRow, row: NoteRow, text: str, action: Action, *, by: Person, at: dt.datetime
) -> None:
    """Write the row's newest revision, tell the timeline, and enter it in the chain."""
    db.add(NoteRevisionRow(note_id=row.id, revision=row.revision, text=text, author=by.display_name, at=at))
    told = timeline.of_note(row.number, text, author=row.author, written_ns=from_datetime(row.written_at))
    await put_events(db, case.number, (told,))
    digest = note_digest(row.number, row.revision, text, by.display_name, at)
    await ledger.enter(db, case, action, note_name(row.number), digest=digest, facts={"revision": row.revision}, by=by, at=at)


async def _forget_alert_events(db: AsyncSession, number: int, alert: AlertSnapshot, keys: set[str]) -> None:
    """Take away what an earlier, shorter look at the alert made of the time that its history now covers."""
    if not alert.intervals:
        return
    since = alert.intervals[0].start_ns
    prefix = timeline.alert_key(alert.fingerprint)
    await db.execute(
        delete(EventRow).where(
            EventRow.case_number == number,
            EventRow.key.startswith(prefix, autoescape=True),
            EventRow.occurred_ns >= since,
            EventRow.key.not_in(keys),
        )
    )


def _same_alert(old: AlertSnapshot, new: AlertSnapshot) -> bool:
    """Whether nothing happened between two looks: the time of looking does not count."""
    return msgspec.structs.replace(old, read_ns=new.read_ns) == new


def _one_of(kind: Any, text: str, field: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        known = ", ".join(word.value for word in kind)
        raise InvalidInput(f"{text[:40]!r} is no {field}; choose one of {known}.", field=field) from None
