"""Bring the database to the schema this Clew needs, or say in a sentence why it does not fit.

Alembic does the work from the folder `alembic/`. It is imported only here and only when needed: it costs a second.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app import paths
from app.db.session import connection_url, driver_url, sqlite_engine
from app.errors import AppError
from app.settings import DatabaseSettings

if TYPE_CHECKING:
    from alembic.config import Config

_LOCK = 0x434C4557  # "CLEW": two upgrades at once on PostgreSQL wait for each other


class SchemaMismatch(AppError):
    """The database's schema is not the one this Clew was built for; the sentence says what to do."""


class DatabaseFailed(AppError):
    """The database cannot be used at all: not reachable, not a database, read-only, full."""


async def upgrade(settings: DatabaseSettings, revision: str = "head") -> None:
    """Run the migrations up to `revision`, in one transaction.

    Errors: SchemaMismatch where a newer Clew was here; nothing is changed then.
    """
    check_known(await current(settings))
    await _run(settings, lambda config: _command("upgrade", config, revision))


async def downgrade(settings: DatabaseSettings, revision: str) -> None:
    """Undo migrations down to `revision` ("base" undoes all), in one transaction."""
    await _run(settings, lambda config: _command("downgrade", config, revision))


async def current(settings: DatabaseSettings) -> str | None:
    """The revision the database is at; None where no migration ever ran."""
    async with _opened(settings) as engine, engine.connect() as connection:
        return await connection.run_sync(_stamped)


def newest() -> str:
    """The revision this Clew needs."""
    from alembic.script import ScriptDirectory

    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise SchemaMismatch("Clew's folder of migrations is empty; this installation is broken.")
    return head


async def check(settings: DatabaseSettings) -> None:
    """Pass when the schema is the one this Clew needs.

    Errors: SchemaMismatch, older (run the command) or newer (a newer Clew was here).
    """
    at, needs = await current(settings), newest()
    if at == needs:
        return
    check_known(at)
    state = "is empty" if at is None else f"is at revision {at}"
    raise SchemaMismatch(f"The database {state}; this Clew needs revision {needs}. Run: clew db upgrade")


def check_known(revision: str | None) -> None:
    """Pass when this Clew can bring a database from that revision to its own.

    Errors: SchemaMismatch: a newer Clew wrote it.
    """
    if revision is not None and not _knows(revision):
        raise SchemaMismatch(
            f"The database was written by a newer Clew: it is at revision {revision[:40]}, "
            f"this one knows revisions up to {newest()}. Install that version, or restore a backup."
        )


async def prepare(settings: DatabaseSettings) -> None:
    """What a starting server does: upgrade where it may, then check. A newer schema is never touched."""
    may = settings.migrate_on_start
    if may is None:
        may = driver_url(settings.url).get_backend_name() == "sqlite"
    if may and await current(settings) != newest():
        await upgrade(settings)
    await check(settings)


def _knows(revision: str) -> bool:
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    try:
        return ScriptDirectory.from_config(_config()).get_revision(revision) is not None
    except CommandError:
        return False


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(paths.folder("alembic")).replace("%", "%%"))
    return config


def _command(name: str, config: Config, revision: str) -> None:
    from alembic import command

    getattr(command, name)(config, revision)


async def _run(settings: DatabaseSettings, act: Any) -> None:
    def within(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        config = _config()
        config.attributes["connection"] = connection
        act(config)

    async with _opened(settings) as engine, engine.begin() as connection:
        await connection.run_sync(within)


@asynccontextmanager
async def _opened(settings: DatabaseSettings) -> AsyncIterator[AsyncEngine]:
    """An engine for a moment, whose failures are sentences."""
    engine = _engine(settings)
    try:
        yield engine
    except DBAPIError as error:
        said = next(iter(str(error.orig).splitlines()), "")[:300]
        raise DatabaseFailed(f"The database cannot be used: {said}") from error
    finally:
        await engine.dispose()


def _engine(settings: DatabaseSettings) -> AsyncEngine:
    url = connection_url(settings)
    if url.get_backend_name() == "sqlite":
        # SQLite alters a table by rebuilding it; with foreign keys on, dropping the old one would delete its children.
        return sqlite_engine(url, begin="BEGIN IMMEDIATE", connections=1, foreign_keys=False)
    return create_async_engine(url, pool_size=1)


def _stamped(connection: Connection) -> str | None:
    from alembic.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()
