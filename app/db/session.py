"""The engine, and one transaction per request or job.

    async with database.reading() as db: ...     sees one state; cannot write
    async with database.writing() as db: ...     commits at the end, or leaves nothing behind

SQLite lets one connection write at a time. Rather than meet "database is locked" under load, writers queue for the one
writing connection, which takes its lock at the start (BEGIN IMMEDIATE); readers have connections of their own and never
wait. A connection is taken at the first statement, not when the block is entered: ask slow sources before the first query.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from app.errors import InvalidInput
from app.settings import DatabaseSettings

_READERS = 8
_PATIENCE_S = 20  # how long a writer queues before the page says that the database is busy


class Database:
    """The engines of one process: open once, close at the end."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self.url = connection_url(settings)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            self._writer = sqlite_engine(self.url, begin="BEGIN IMMEDIATE", connections=1)
            self._reader = sqlite_engine(self.url, begin="BEGIN", connections=_READERS, read_only=True)
        else:
            self._writer = create_async_engine(
                self.url, pool_size=10, max_overflow=10, pool_timeout=_PATIENCE_S, pool_pre_ping=True
            )
            # As on SQLite: every question of one block is answered from the same state, and nothing can be written.
            self._reader = self._writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._write = async_sessionmaker(self._writer, expire_on_commit=False)
        self._read = async_sessionmaker(self._reader, expire_on_commit=False, autoflush=False)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """A session whose work is committed when the block ends, and undone when it fails."""
        async with self._write.begin() as session:
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session to ask questions with; whatever it changed is undone."""
        async with self._read() as session:
            yield session

    @property
    def engine(self) -> AsyncEngine:
        return self._writer

    async def close(self) -> None:
        await self._reader.dispose()
        if self._writer is not self._reader:
            await self._writer.dispose()


def connection_url(settings: DatabaseSettings) -> URL:
    """The settings' URL with the driver Clew uses, and the password that is kept apart from it.

    Errors: as driver_url.
    """
    url = driver_url(settings.url)
    secret = settings.password.get_secret_value()
    return url.set(password=secret) if secret and url.password is None and url.get_backend_name() != "sqlite" else url


def driver_url(text: str) -> URL:
    """The settings' URL with the driver Clew uses.

    Errors: InvalidInput names what is wrong with it, without repeating it: it may hold a password.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise InvalidInput(
            "The database URL cannot be read. Use sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME."
        ) from None
    backend = url.get_backend_name()
    if backend == "sqlite":
        if not url.database or url.database == ":memory:":
            raise InvalidInput("Clew's SQLite database needs a file, such as sqlite:///clew.db.")
        return url.set(drivername="sqlite+aiosqlite")
    if backend in ("postgresql", "postgres"):
        try:
            import psycopg  # noqa: F401 - only to say early and plainly that it is missing
        except ImportError:
            raise InvalidInput("PostgreSQL needs the extra: pip install 'clew[postgres]'.") from None
        return url.set(drivername="postgresql+psycopg")
    raise InvalidInput(f"Clew keeps its data in SQLite or PostgreSQL, not in {backend[:40]}.")


def sqlite_engine(url: URL, *, begin: str, connections: int, read_only: bool = False, foreign_keys: bool = True) -> AsyncEngine:
    """An engine on one SQLite file whose transactions start as told."""
    _create_private(Path(url.database or ""))
    engine = create_async_engine(url, pool_size=connections, max_overflow=0, pool_timeout=_PATIENCE_S)

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        # The driver's own idea of when a transaction begins is switched off; `begin` below decides.
        connection.isolation_level = None
        cursor = connection.cursor()
        # busy_timeout is for other processes (clew user add beside a server); within this one writers queue.
        cursor.execute("PRAGMA busy_timeout = 10000")
        cursor.execute("PRAGMA journal_mode = WAL")
        # FULL: a note that was acknowledged survives a power cut. Costs about 3 ms a commit.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        if read_only:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def began(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _create_private(file: Path) -> None:
    """Create the file readable by its owner only: it holds names, addresses and the story of a breach."""
    try:
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise InvalidInput(f"The database file {file} cannot be opened: {error.strerror}.") from None
