"""What differs on PostgreSQL: locks instead of one writer, and a server that can be away."""

import asyncio
import datetime as dt
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text
from support import postgres, real_parts, site

from app.db import migrate
from app.db.session import Database
from app.security import accounts, login
from app.security.login import Door
from app.security.roles import COMMAND_LINE, Role
from app.settings import DatabaseSettings, SecuritySettings, load

NOON = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)


@pytest.fixture
async def url(postgres_server):
    fresh = postgres_server.fresh_url()
    await migrate.upgrade(DatabaseSettings(url=fresh))
    return fresh


async def test_the_app_runs_on_it_from_login_to_logout(url, tmp_path):
    async with site.open(tmp_path, database={"url": url}) as here:
        await here.add_user("ines", "analyst")
        browser = here.anonymous
        form = {"name": "ines", "password": site.PASSWORD, "next": "/patterns"}
        answer = await browser.post("/login", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/patterns")
        assert (await browser.get("/patterns")).status_code == 200
        assert (await browser.post("/logout")).status_code == 303
        assert (await browser.get("/api/v1/me")).status_code == 401


async def test_tries_at_once_are_counted_one_by_one(url):
    database = Database(DatabaseSettings(url=url))
    settings = SecuritySettings.model_validate({})
    try:
        async with database.writing() as db:
            await accounts.add(db, "ines", "correct horse battery", Role.ANALYST, by=COMMAND_LINE, at=NOON)
        tries = [
            login.sign_in(database, "ines", f"wrong {n}", door=Door("203.0.113.5", ""), settings=settings, at=NOON)
            for n in range(15)
        ]
        results = await asyncio.gather(*tries)
    finally:
        await database.close()
    assert sum(1 for one in results if one.locked is None) == settings.lockout_failures


async def test_a_server_that_went_away_is_a_page_and_not_ready(url, tmp_path):
    async with site.open(tmp_path, database={"url": url}) as here:
        reader = await here.as_("viewer")
        async with here.database.writing() as db:
            await db.execute(text("ALTER TABLE users RENAME TO elsewhere"))
        answer = await reader.get("/patterns")
        assert answer.status_code in (500, 503)
        assert "Traceback" not in answer.text
        assert "elsewhere" not in answer.text
        assert (await reader.get("/readyz")).status_code == 200


async def test_a_password_kept_apart_from_the_url_opens_it(tmp_path, monkeypatch):
    with postgres.running(port=real_parts.free_port()) as server:
        name = urlsplit(server.fresh_url()).path.removeprefix("/")
        with psycopg.connect(f"host={server.folder} port={server.port} user={server.user} dbname={name}") as connection:
            connection.execute("CREATE ROLE clew LOGIN PASSWORD 'kept apart'")
            connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO clew").format(sql.Identifier(name)))
        url = f"postgresql://clew@127.0.0.1:{server.port}/{name}"
        with pytest.raises(migrate.DatabaseFailed, match="no password supplied"):
            await migrate.upgrade(load(database={"url": url}).database)
        (tmp_path / "password").write_text("kept apart\n")
        monkeypatch.setenv("CLEW_DATABASE__PASSWORD_FILE", str(tmp_path / "password"))
        settings = load(database={"url": url, "migrate_on_start": True})
        await migrate.prepare(settings.database)
        database = Database(settings.database)
        try:
            async with database.reading() as db:
                assert await db.scalar(text("SELECT current_user")) == "clew"
        finally:
            await database.close()
