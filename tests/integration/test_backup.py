"""A case that is lost comes back from a back-up made while the server was in use, on both kinds of database."""

import asyncio
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2 as httpx
import psycopg
import pytest
from support import casework, command, site

from app.db import migrate
from app.db.session import Database
from app.security.tables import UserRow
from app.settings import DatabaseSettings
from app.times import utc_now

# Adds people one after the other; prints a name once it is committed.
BUSY = """
import asyncio, sys
from app import times
from app.db.session import Database
from app.security.tables import UserRow
from app.settings import DatabaseSettings

async def main():
    database = Database(DatabaseSettings(url=sys.argv[1]))
    for n in range(10**9):
        async with database.writing() as db:
            db.add(UserRow(name=f"p{n:07}", display_name="", role="viewer", password_hash="x", created_at=times.utc_now()))
        print(f"p{n:07}", flush=True)
        await asyncio.sleep(0.005)

asyncio.run(main())
"""


@contextmanager
def busy(url: str):
    """Somebody writes all the while; gives the names that were acknowledged so far."""
    said: list[str] = []
    with subprocess.Popen([sys.executable, "-c", BUSY, url], stdout=subprocess.PIPE, text=True) as process:
        reader = threading.Thread(target=lambda: said.extend(line.strip() for line in process.stdout), daemon=True)
        try:
            said.append(process.stdout.readline().strip())
            reader.start()
            yield said
        finally:
            process.kill()
            reader.join()


async def filled(folder: Path, url: str) -> None:
    """A database with a whole case, and ines, who may look at it."""
    await migrate.upgrade(DatabaseSettings(url=url))
    async with site.open(folder, database={"url": url}) as here:
        await casework.fill(here, await here.add_user("ines", "admin"))


def seen(address: str) -> dict[str, object]:
    """What ines is shown of the case."""
    with httpx.Client(base_url=address, trust_env=False) as browser:
        entered = browser.post("/login", data={"name": "ines", "password": site.PASSWORD})
        assert entered.status_code == 303, entered.text
        page = browser.get("/cases/CASE-0001")
        assert "Credential stuffing with two takeovers" in page.text
        parts = ("", "/notes", "/evidence", "/timeline", "/custody")
        return {part: browser.get(f"/api/v1/cases/CASE-0001{part}").raise_for_status().json() for part in parts}


def intact(address: str) -> None:
    """The chain of custody holds, and evidence is the bytes it was."""
    with httpx.Client(base_url=address, trust_env=False, headers={"sec-fetch-site": "same-origin"}) as browser:
        browser.post("/login", data={"name": "ines", "password": site.PASSWORD})
        verified = browser.post("/api/v1/cases/CASE-0001/verify").raise_for_status().json()
        assert verified["passed"], verified["sentence"]
        (first, *_) = browser.get("/api/v1/cases/CASE-0001/evidence").json()
        raw = browser.get("/api/v1/cases/CASE-0001/evidence/1/raw")
        assert hashlib.sha256(raw.content).hexdigest() == first["sha256"] == raw.headers["x-content-sha256"]


def people(connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM users WHERE name LIKE 'p0%'").fetchall()}


def test_sqlite_lost_and_restored(tmp_path):
    file, copy = tmp_path / "clew.db", tmp_path / "copy.db"
    url = f"sqlite:///{file}"
    asyncio.run(filled(tmp_path, url))
    with command.serving(tmp_path) as (address, _), busy(url) as acknowledged:
        before = seen(address)
        first = len(acknowledged)
        done = command.here("db", "backup", str(copy), folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{copy}: {copy.stat().st_size:,} bytes at revision {migrate.newest()}.\n"
        # While somebody has it open, nothing takes its place.
        refused = command.here("db", "restore", "--replace", str(copy), folder=tmp_path)
        assert (refused.returncode, refused.stderr) == (2, f"The database at {file} is in use. Stop the server first.\n")
    with closing(sqlite3.connect(copy)) as connection:
        names = sorted(people(connection))
    assert set(acknowledged[:first]) <= set(names)
    assert names == [f"p{n:07}" for n in range(len(names))], "one moment: nobody is in it without those before"
    for lost in tmp_path.glob("clew.db*"):
        lost.unlink()
    done = command.here("db", "restore", str(copy), folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"Restored from {copy} at revision {migrate.newest()}.\n"), done.stderr
    with command.serving(tmp_path) as (address, _):
        assert seen(address) == before
        intact(address)


def test_sqlite_restored_in_place_of_what_went_wrong(tmp_path):
    url = f"sqlite:///{tmp_path}/clew.db"
    asyncio.run(filled(tmp_path, url))
    copy = tmp_path / "copy.db"
    assert command.here("db", "backup", str(copy), folder=tmp_path).returncode == 0
    with closing(sqlite3.connect(tmp_path / "clew.db")) as connection:
        connection.executescript("DELETE FROM case_events; UPDATE cases SET title = 'gone';")
    refused = command.here("db", "restore", str(copy), folder=tmp_path)
    assert refused.returncode == 2
    assert f"clew db restore --replace {copy}" in refused.stderr
    assert command.here("db", "restore", "--replace", str(copy), folder=tmp_path).returncode == 0
    with command.serving(tmp_path) as (address, _):
        seen(address)
        intact(address)


def test_an_older_sqlite_backup_is_migrated_and_a_newer_one_refused(tmp_path):
    url, copy = f"sqlite:///{tmp_path}/clew.db", tmp_path / "copy.db"
    asyncio.run(with_a_person_at_0002(url))
    assert command.here("db", "backup", str(copy), folder=tmp_path).stdout.endswith(" at revision 0002.\n")
    (tmp_path / "clew.db").unlink()
    restored = command.here("db", "restore", str(copy), folder=tmp_path)
    assert restored.stdout.endswith(f"at revision 0002; the server brings it to {migrate.newest()} when it starts.\n")
    with command.serving(tmp_path) as (address, _):
        assert signs_in(address)
    with closing(sqlite3.connect(copy)) as connection:
        connection.executescript("UPDATE alembic_version SET version_num = '9999'")
    was = (tmp_path / "clew.db").read_bytes()
    refused = command.here("db", "restore", "--replace", str(copy), folder=tmp_path)
    assert refused.returncode == 2
    assert "written by a newer Clew: it is at revision 9999" in refused.stderr
    assert (tmp_path / "clew.db").read_bytes() == was


async def with_a_person_at_0002(url: str) -> None:
    settings = DatabaseSettings(url=url)
    await migrate.upgrade(settings)
    database, hashed = Database(settings), site._password_hash()
    try:
        async with database.writing() as db:
            db.add(UserRow(name="ines", display_name="", role="admin", password_hash=hashed, created_at=utc_now()))
    finally:
        await database.close()
    await migrate.downgrade(settings, "0002")


def signs_in(address: str) -> bool:
    with httpx.Client(base_url=address, trust_env=False) as browser:
        return browser.post("/login", data={"name": "ines", "password": site.PASSWORD}).status_code == 303


def pg(server, program: str, *arguments: str) -> None:
    """One of PostgreSQL's own programs, as docs/administration.md calls it."""
    (found, *_) = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), reverse=True) or [shutil.which(program)]
    environment = {**os.environ, "PGHOST": str(server.folder), "PGUSER": server.user}
    done = subprocess.run([found, *arguments], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_postgresql_lost_and_restored(postgres_server, tmp_path):
    url, copy = postgres_server.fresh_url(), tmp_path / "clew.dump"
    name = urlsplit(url).path.removeprefix("/")
    asyncio.run(filled(tmp_path, url))
    with command.serving(tmp_path, CLEW_DATABASE__URL=url) as (address, _), busy(url) as acknowledged:
        before = seen(address)
        first = len(acknowledged)
        pg(postgres_server, "pg_dump", "--format=custom", f"--file={copy}", name)
    pg(postgres_server, "dropdb", name)
    refused = command.here("db", "current", folder=tmp_path, CLEW_DATABASE__URL=url)
    assert refused.returncode == 2
    assert f'database "{name}" does not exist' in refused.stderr
    pg(postgres_server, "createdb", name)
    pg(postgres_server, "pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", f"--dbname={name}", str(copy))
    with psycopg.connect(f"host={postgres_server.folder} user={postgres_server.user} dbname={name}") as connection:
        names = sorted(people(connection))
    assert set(acknowledged[:first]) <= set(names)
    assert names == [f"p{n:07}" for n in range(len(names))]
    with command.serving(tmp_path, CLEW_DATABASE__URL=url) as (address, _):
        assert seen(address) == before
        intact(address)


def test_an_older_postgresql_backup_waits_for_the_command_and_a_newer_one_is_refused(postgres_server, tmp_path):
    url, copy = postgres_server.fresh_url(), tmp_path / "clew.dump"
    name = urlsplit(url).path.removeprefix("/")
    asyncio.run(with_a_person_at_0002(url))
    pg(postgres_server, "pg_dump", "--format=custom", f"--file={copy}", name)
    pg(postgres_server, "dropdb", name)
    pg(postgres_server, "createdb", name)
    pg(postgres_server, "pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", f"--dbname={name}", str(copy))
    settings = {"CLEW_DATABASE__URL": url}
    refused = command.here("serve", folder=tmp_path, **settings)
    assert refused.returncode == 2
    assert "is at revision 0002; this Clew needs" in refused.stderr
    upgraded = command.here("db", "upgrade", folder=tmp_path, **settings)
    assert upgraded.stdout == f"From 0002 to {migrate.newest()}.\n", upgraded.stderr
    with command.serving(tmp_path, **settings) as (address, _):
        assert signs_in(address)
    with psycopg.connect(f"host={postgres_server.folder} user={postgres_server.user} dbname={name}") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    refused = command.here("serve", folder=tmp_path, **settings)
    assert refused.returncode == 2
    assert "written by a newer Clew: it is at revision 9999" in refused.stderr


def test_a_postgresql_database_is_sent_to_its_own_tools(tmp_path):
    refused = command.here("db", "backup", "copy.db", folder=tmp_path, CLEW_DATABASE__URL="postgresql://clew@h/n")
    assert refused.returncode == 2
    assert "use pg_dump and pg_restore" in refused.stderr
