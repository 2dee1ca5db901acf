from __future__ import annotations

import csv
import hashlib
import os
import re
import stat
import subprocess
import sys

import pytest
from support import case_samples as sample
from support.case_samples import INES, NOW

from app.cases import preserve, service, store
from app.times import UnixNanos

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


async def case_with_events(database) -> None:
    async with database.writing() as db:
        case = await service.open_case(db, title="Order probing", by=INES, at=NOW)
        await preserve.preserve_trace(db, case.number, sample.capture(), by=INES, at=NOW)
        await service.add_event(db, case.number, occurred_ns=UnixNanos(5), title="Noise", by=INES, at=NOW)
        noise = (await store.events(db, case.number, store.Filter(), limit=1))[0]
        await service.mark_event(db, case.number, noise.id, hidden=True, by=INES, at=NOW)


def clew(tmp_path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "CLEW_DATABASE__URL": f"sqlite:///{tmp_path / 'clew.db'}"}
    command = [sys.executable, "-m", "app.cli", *arguments]
    return subprocess.run(command, capture_output=True, env=environment, cwd=tmp_path, timeout=60)


async def test_the_timeline_comes_on_standard_output_and_the_record_on_the_other(database, tmp_path):
    await case_with_events(database)
    done = clew(tmp_path, "export", "CASE-0001", "--format", "csv")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(done.stdout.decode().splitlines()))
    assert [row["kind"] for row in rows] == ["decision", "effect", "evidence"]
    said = done.stderr.decode()
    assert "CASE-0001-timeline.csv: 3 events, 1 hidden left out" in said
    assert hashlib.sha256(done.stdout).hexdigest() in said
    async with database.reading() as db:
        last = (await store.last_links(db, 1, limit=1))[0]
    assert last.hash.hex() in said
    assert last.entry.actor == "command line"


async def test_a_file_is_written_whole_for_its_owner_only(database, tmp_path):
    await case_with_events(database)
    target = tmp_path / "out.jsonl"
    done = clew(tmp_path, "export", "1", "--format", "jsonl", "--hidden", "--output", str(target))
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    assert len(target.read_bytes().splitlines()) == 4
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert not list(tmp_path.glob(".clew-export-*"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("export", "CASE-0099"), r"There is no CASE-0099\."),
        (("export", "nonsense"), r"There is no such case\."),
        (("export", "1", "--output", "missing/folder/x.csv"), r"cannot be written: No such file or directory\."),
    ],
)
async def test_failures_are_one_sentence_and_leave_nothing(database, tmp_path, arguments, says):
    await case_with_events(database)
    done = clew(tmp_path, *arguments)
    assert done.returncode == 2
    assert re.search(says, done.stderr.decode())
    assert b"Traceback" not in done.stderr
    assert not list(tmp_path.glob("*.csv"))
    async with database.reading() as db:
        links = [link.entry.action async for link in store.links(db, 1)]
    assert "timeline.exported" not in links
