from __future__ import annotations

import csv
import hashlib
import io
import json
import resource

import msgspec
import pytest
from sqlalchemy import insert, select
from support import case_samples as sample
from support import timesketch_reader as timesketch
from support.case_samples import INES, NOW

from app.cases import export, preserve, service, store, verification
from app.cases.model import Format
from app.cases.store import Filter
from app.cases.tables import EventRow
from app.db.base import new_id
from app.errors import NotFound
from app.security.tables import AuditRow
from app.times import UnixNanos


async def filled(database) -> int:
    async with database.writing() as db:
        case = await service.open_case(db, title="Order probing", by=INES, at=NOW)
        await preserve.preserve_trace(db, case.number, sample.capture(), by=INES, at=NOW)
        await service.add_note(db, case.number, "=1+1 is what they typed", by=INES, at=NOW)
        await service.add_event(db, case.number, occurred_ns=UnixNanos(5), title="Noise", by=INES, at=NOW)
        noise = (await store.events(db, case.number, Filter(), limit=1))[0]
        await service.mark_event(db, case.number, noise.id, hidden=True, by=INES, at=NOW)
    return case.number


async def written(database, number: int, form: Format, **given) -> tuple[export.Written, bytes]:
    file = io.BytesIO()
    async with database.reading() as db:
        made = await export.write(db, number, form, file, **given)
    return made, file.getvalue()


@pytest.mark.parametrize("form", list(Format))
async def test_the_record_says_what_was_given_out(database, form):
    number = await filled(database)
    made, data = await written(database, number, form)
    assert (made.events, made.left_out, made.size) == (4, 1, len(data))
    assert made.sha256 == hashlib.sha256(data).hexdigest()
    async with database.writing() as db:
        link = await export.record(db, number, made, by=INES, at=NOW)
        case = await store.case(db, number)
        assert case.custody_head == link.hash
    assert (link.entry.action, link.entry.subject, link.entry.digest) == ("timeline.exported", made.name, made.sha256)
    assert link.entry.facts == {"format": form.value, "events": 4, "left_out": 1, "bytes": len(data)}
    async with database.reading() as db:
        row = (await db.scalars(select(AuditRow).order_by(AuditRow.id.desc()).limit(1))).one()
        assert (row.act, row.detail["sha256"]) == ("case_exported", made.sha256)
        assert (await verification.check(db, number)).passed


async def test_csv_json_lines_and_timesketch_tell_the_same_story(database):
    number = await filled(database)
    rows = list(csv.DictReader(io.StringIO((await written(database, number, Format.CSV))[1].decode(), newline="")))
    lines = [json.loads(line) for line in (await written(database, number, Format.JSONL))[1].splitlines()]
    made, data = await written(database, number, Format.TIMESKETCH_CSV)
    arrived, dropped = timesketch.read_csv(made.name, data)
    assert dropped == []
    assert [row["message"] for row in rows] == [line["message"] for line in lines] == [event["message"] for event in arrived]
    assert [line["kind"] for line in lines] == ["decision", "effect", "evidence", "note"]
    assert rows[3]["detail"] == "'=1+1 is what they typed"
    assert lines[3]["detail"] == arrived[3]["detail"] == "=1+1 is what they typed"


async def test_hidden_events_come_where_asked_for(database):
    made, data = await written(database, await filled(database), Format.JSONL, hidden=True)
    assert (made.events, made.left_out) == (5, 0)
    assert b"Noise" in data


async def test_an_absent_case_gives_no_file(database):
    with pytest.raises(NotFound):
        await written(database, 99, Format.CSV)


async def test_a_long_timeline_is_streamed(database, tmp_path):
    number = await filled(database)
    async with database.writing() as db:
        row = (await db.scalars(select(EventRow).where(EventRow.kind == "decision"))).one()
        plain = {column.key: getattr(row, column.key) for column in EventRow.__table__.columns}
        for start in range(0, 30_000, 2_000):
            many = [{**plain, "id": new_id(), "key": f"x{n}", "occurred_ns": n} for n in range(start, start + 2_000)]
            await db.execute(insert(EventRow), many)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with database.reading() as db:
        with (tmp_path / "long.jsonl").open("wb") as file:
            made = await export.write(db, number, Format.JSONL, file)
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert made.events == 30_004
    assert made.size > 20_000_000
    assert grown_kb < 20_000  # of a file larger than that
    last = msgspec.json.decode((tmp_path / "long.jsonl").read_bytes().splitlines()[29_999])
    assert last["occurred_ns"] == "29999"
