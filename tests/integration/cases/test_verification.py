from __future__ import annotations

import asyncio
import datetime as dt
import random

import pytest
from sqlalchemy import select, text
from support import case_samples as sample
from support.case_samples import INES, NOW

from app.cases import alerts, preserve, service, store, verification
from app.cases.service import Changes
from app.errors import EvidenceChanged
from app.security.tables import AuditRow
from app.sources.values import AlertHistory, AlertState, FiringAlert, Interval
from app.times import UnixNanos

LATER = NOW + dt.timedelta(minutes=5)
LABELS = {"alertname": "AuthCredentialStuffing"}

# Entry of the chain by what it speaks of, in the case that `whole` makes.
ENTRY = {"alert": 3, "E1": 4, "E2": 5, "N1 revision 1": 6, "N1 revision 2": 7, "entered:1": 8}


def alert(read_ns: int) -> alerts.AlertSnapshot:
    firing = FiringAlert("prometheus", LABELS, {}, AlertState.FIRING, UnixNanos(1000))
    history = AlertHistory(LABELS, (Interval(AlertState.FIRING, UnixNanos(1000), UnixNanos(read_ns)),), 15.0)
    return alerts.snapshot(firing, read_ns=UnixNanos(read_ns), history=history)


async def whole(database) -> int:
    """A case with one of everything that the chain covers."""
    async with database.writing() as db:
        case = await service.open_case(db, title="Order probing", by=INES, at=NOW)
        number = case.number
        await service.link_alert(db, number, alert(2000), by=INES, at=NOW)
        await service.link_alert(db, number, alert(9000), by=INES, at=NOW)
        await preserve.preserve_trace(db, number, sample.capture(), by=INES, at=NOW)
        await preserve.preserve_trace(db, number, sample.capture(data=sample.body(note="again")), by=INES, at=NOW)
        await service.add_note(db, number, "Two got in.", by=INES, at=NOW)
        await service.edit_note(db, number, 1, "Three got in.", revision=1, by=INES, at=LATER)
        await service.add_event(db, number, occurred_ns=UnixNanos(5), title="Seen", detail="by eye", by=INES, at=NOW)
        await service.change_case(db, number, Changes(status="contained"), by=INES, at=LATER)
    return number


async def check(database, number: int) -> verification.Verification:
    async with database.reading() as db:
        return await verification.check(db, number)


async def run(database, statement: str, **values) -> None:
    async with database.writing() as db:
        await db.execute(text(statement), values)


async def test_an_untouched_case_passes(database):
    number = await whole(database)
    found = await check(database, number)
    assert found.passed
    assert found.first_bad is None
    assert (found.items, found.unchanged, found.chain.entries) == (2, (1, 2), 8)
    assert found.sentence == "All as recorded: 2 items of evidence and 8 entries of the chain of custody."


async def test_checking_is_itself_recorded_and_dates_the_items(database):
    number = await whole(database)
    found = await check(database, number)
    async with database.writing() as db:
        await verification.record(db, number, found, by=INES, at=LATER)
    async with database.reading() as db:
        assert [kept.verified_at for kept in await store.evidence_items(db, number)] == [LATER, LATER]
        last = (await store.last_links(db, number, limit=1))[0].entry
        row = (await db.scalars(select(AuditRow).order_by(AuditRow.id.desc()).limit(1))).one()
    assert (last.action, last.facts) == ("evidence.verified", {"items": 2, "unchanged": 2, "passed": True})
    assert row.act == "evidence_verified"
    assert (await check(database, number)).passed


# The question is the same for both databases; these many variants of it are asked of the quicker one.
ON_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
BYTES_OF = "evidence_id = (SELECT id FROM case_evidence WHERE number ="


@ON_SQLITE
@pytest.mark.parametrize(
    ("statement", "subject", "why"),
    [
        (f"UPDATE case_evidence_bytes SET body = :body WHERE {BYTES_OF} 1)", "E1", "is not what was received"),
        (f"DELETE FROM case_evidence_bytes WHERE {BYTES_OF} 2)", "E2", "are gone"),
        ("UPDATE case_evidence SET captured_by = 'mallory' WHERE number = 1", "E1", "recorded about the item has changed"),
        ("UPDATE case_evidence SET verdict = '{}' WHERE number = 2", "E2", "recorded about the item has changed"),
        ("UPDATE case_evidence SET number = 9 WHERE number = 2", "E2", "the item is missing"),
        ("UPDATE case_evidence SET completeness = 'odd' WHERE number = 1", "E1", "cannot be read any more"),
        ("UPDATE case_note_revisions SET text = 'One' WHERE revision = 1", "N1 revision 1", "revision 1 of the note has"),
        ("UPDATE case_note_revisions SET author = 'mallory' WHERE revision = 2", "N1 revision 2", "revision 2 of the note has"),
        ("DELETE FROM case_note_revisions WHERE revision = 2", "N1 revision 2", "revision 2 of the note is missing"),
        ("UPDATE case_events SET occurred_ns = 6 WHERE key = 'entered:1'", "entered:1", "the event has changed"),
        ("DELETE FROM case_events WHERE key = 'entered:1'", "entered:1", "the event is missing"),
        ("UPDATE case_alerts SET snapshot = '{}'", "alert", "kept of the alert has changed"),
        ("DELETE FROM case_alerts", "alert", "the alert is missing"),
    ],
)  # fmt: skip
async def test_a_change_behind_clews_back_is_named_by_its_entry(database, statement, subject, why):
    number = await whole(database)
    await run(database, statement, **({"body": b"{}"} if ":body" in statement else {}))
    found = await check(database, number)
    assert not found.passed
    assert found.chain.whole
    assert found.first_bad is not None
    assert found.first_bad.seq == ENTRY[subject]
    assert why in found.sentence


async def test_the_first_of_several_is_named(database):
    number = await whole(database)
    await run(database, "DELETE FROM case_events WHERE key = 'entered:1'")
    await run(database, "UPDATE case_evidence SET query = 'x' WHERE number = 2")
    found = await check(database, number)
    assert [fault.subject for fault in found.faults] == ["E2", "entered:1"]
    assert found.unchanged == (1,)


@ON_SQLITE
@pytest.mark.parametrize(
    ("statement", "first_bad"),
    [
        ("DELETE FROM case_custody WHERE seq = 3", 3),
        ("DELETE FROM case_custody WHERE seq = 8", 8),
        ("DELETE FROM case_custody", 1),
        ("UPDATE case_custody SET seq = 80 WHERE seq = 8", 8),
        ("UPDATE case_custody SET record = :blob WHERE seq = 5", 5),
        ("UPDATE case_custody SET hash = :blob WHERE seq = 2", 2),
        ("UPDATE cases SET custody_head = :blob", 8),
        ("UPDATE cases SET custody_count = 9", 9),
        ("UPDATE cases SET custody_count = 7", 8),
    ],
)
async def test_a_damaged_chain_is_named_by_its_first_bad_entry(database, statement, first_bad):
    number = await whole(database)
    await run(database, statement, **({"blob": bytes(32)} if ":blob" in statement else {}))
    found = await check(database, number)
    assert not found.passed
    assert found.chain.first_bad == first_bad


async def test_what_no_entry_speaks_of_is_named_too(database):
    number = await whole(database)
    await run(
        database,
        "INSERT INTO case_note_revisions (id, note_id, revision, text, author, at) "
        "SELECT 'x', note_id, 3, 'slipped in', author, at FROM case_note_revisions WHERE revision = 2",
    )
    found = await check(database, number)
    assert found.first_bad == verification.Fault(None, "N1 revision 3", "no entry of the chain of custody speaks of it")


async def test_changed_bytes_are_not_handed_out(database):
    number = await whole(database)
    async with database.reading() as db:
        item, body = await verification.bytes_of(db, number, 1)
        assert body == sample.body()
        assert item.name == "E1"
    await run(database, "UPDATE case_evidence_bytes SET body = :body", body=b"{}")
    with pytest.raises(EvidenceChanged, match="E1 is not what was received"):
        async with database.reading() as db:
            await verification.bytes_of(db, number, 1)


PROTECTED = (
    ("case_custody", ("record", "prev", "hash")),
    ("case_evidence", ("title", "sha256", "media_type", "source_url", "tenant", "query", "backend", "captured_by", "verdict")),
    ("case_evidence_bytes", ("body",)),
    ("case_note_revisions", ("text", "author")),
    ("case_alerts", ("snapshot",)),
)


@ON_SQLITE
async def test_any_single_byte_changed_in_what_is_kept_is_found(database):
    number, rng = await whole(database), random.Random(20261121)
    for _ in range(120):
        table, columns = rng.choice(PROTECTED)
        column = rng.choice(columns)
        async with database.writing() as db:
            cell = f"SELECT rowid, CAST({column} AS BLOB), typeof({column}) FROM {table} WHERE length({column}) > 0"
            rowid, old, kind = rng.choice((await db.execute(text(cell))).all())
            new = bytearray(old)
            new[rng.randrange(len(new))] ^= 1 << rng.randrange(8)
            # Written as the same kind of value, valid text or not: that is what a changed byte in the file is.
            value = "CAST(:new AS TEXT)" if kind == "text" else ":new"
            await db.execute(
                text(f"UPDATE {table} SET {column} = {value} WHERE rowid = :row"), {"new": bytes(new), "row": rowid}
            )
        found = await check(database, number)
        assert not found.passed, (table, column, old, bytes(new))
        assert found.first_bad is not None
        async with database.writing() as db:
            value = "CAST(:old AS TEXT)" if kind == "text" else ":old"
            await db.execute(text(f"UPDATE {table} SET {column} = {value} WHERE rowid = :row"), {"old": old, "row": rowid})
    assert (await check(database, number)).passed


async def test_an_act_whose_audit_row_cannot_be_written_does_not_happen(database):
    number = await whole(database)
    await run(database, "ALTER TABLE audit RENAME TO audit_gone")
    with pytest.raises(Exception, match="audit"):
        async with database.writing() as db:
            await service.add_note(db, number, "unrecorded", by=INES, at=LATER)
    await run(database, "ALTER TABLE audit_gone RENAME TO audit")
    async with database.reading() as db:
        assert [note.text for note in await store.notes(db, number)] == ["Three got in."]
    assert (await check(database, number)).passed


async def test_checks_and_writes_at_once_agree(database):
    number = await whole(database)

    async def write() -> None:
        for turn in range(10):
            async with database.writing() as db:
                await service.add_note(db, number, f"note {turn}", by=INES, at=LATER)

    async def read() -> list[bool]:
        return [(await check(database, number)).chain.whole for _ in range(5)]

    results = await asyncio.gather(write(), read(), write(), read())
    assert all(results[1])
    assert all(results[3])
