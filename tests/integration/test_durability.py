"""What was acknowledged is there after the process was killed, and a database without room loses nothing silently."""

import os
import signal
import sqlite3
import subprocess
import sys

import pytest
from sqlalchemy import select, text
from support import site

from app.security.tables import AuditRow
from app.web.deps import UtcNow, WritingDb

# Four writers at once; each prints a number once the transaction that holds it was committed.
WRITER = """
import asyncio, sys
from sqlalchemy import text
from app.db.session import Database
from app.settings import DatabaseSettings

async def main():
    database = Database(DatabaseSettings(url=sys.argv[1]))
    async with database.writing() as db:
        await db.execute(text("CREATE TABLE IF NOT EXISTS acknowledged (n INTEGER PRIMARY KEY)"))
    async def writer(start):
        for n in range(start, 10**9, 4):
            async with database.writing() as db:
                await db.execute(text("INSERT INTO acknowledged VALUES (:n)"), {"n": n})
            print(n, flush=True)
    await asyncio.gather(*(writer(int(sys.argv[2]) + n) for n in range(4)))

asyncio.run(main())
"""


@pytest.mark.parametrize("round_", range(3))
def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path, round_):
    file = tmp_path / "clew.db"
    command = [sys.executable, "-c", WRITER, f"sqlite:///{file}", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        said = [process.stdout.readline() for _ in range(40 + 7 * round_)]
        os.kill(process.pid, signal.SIGKILL)
        said += process.stdout.readlines()
    acknowledged = {int(line) for line in said if line.endswith("\n")}
    connection = sqlite3.connect(file)
    try:
        found = {n for (n,) in connection.execute("SELECT n FROM acknowledged")}
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    finally:
        connection.close()
    assert len(acknowledged) >= 40
    assert acknowledged <= found
    # At most one commit per writer was under way and never acknowledged.
    assert len(found - acknowledged) <= 4


async def test_a_full_disk_is_said_and_leaves_nothing_half_done(tmp_path):
    async with site.open(tmp_path) as here:

        async def keep(db: WritingDb, now: UtcNow) -> dict[str, str]:
            row = {
                "act": "note_added",
                "actor_id": "",
                "actor_name": "x",
                "subject_kind": "case",
                "subject_id": "1",
                "address": "",
            }
            for _ in range(50):
                db.add(AuditRow(at=now, detail={"words": "x" * 4000}, **row))
                await db.flush()
            return {"kept": "yes"}

        here.app.add_api_route("/keeps", keep, methods=["POST"])
        async with here.database.writing() as db:
            pages = await db.scalar(text("PRAGMA page_count"))
            await db.execute(text(f"PRAGMA max_page_count = {pages + 5}"))
        answer = await here.anonymous.post("/keeps")
        assert answer.status_code == 503
        assert "The database did not do what Clew asked" in answer.text
        async with here.database.reading() as db:
            assert (await db.scalars(select(AuditRow))).all() == []
        # With room again, the same request succeeds: nothing was left locked.
        async with here.database.writing() as db:
            await db.execute(text("PRAGMA max_page_count = 1000000"))
        assert (await here.anonymous.post("/keeps")).status_code == 200


async def test_a_read_only_database_still_shows_its_pages(tmp_path):
    async with site.open(tmp_path) as here:
        reader = await here.as_("viewer")
        async with here.database.writing() as db:
            await db.execute(text("PRAGMA query_only = ON"))
        assert (await reader.get("/patterns")).status_code == 200
        refused = await reader.post("/logout")
        assert refused.status_code == 503
        assert "Nothing was changed" in refused.text
        assert (await reader.get("/patterns")).status_code == 200
