"""A copy of the SQLite database while it is in use, and the way back.

PostgreSQL has its own tools for this (pg_dump, pg_restore); docs/administration.md says how.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from app.db import migrate
from app.db.session import driver_url
from app.errors import Conflict, InvalidInput
from app.settings import DatabaseSettings


def write(settings: DatabaseSettings, file: Path) -> str:
    """Write a copy of one moment of the database; readers and writers go on meanwhile. Gives its revision.

    The copy is one file that only its owner can read, and it takes its name once it is whole and on the disk.

    Errors: InvalidInput for PostgreSQL, and for what cannot be read or written; Conflict where the file is there already.
    """
    source = _file(settings)
    if not source.exists():
        raise InvalidInput(f"There is no database at {source}.")
    if file.exists():
        raise Conflict(f"{file} is there already; a back-up never takes the place of another.")
    with _sentences(f"The back-up to {file} failed"), _becoming(file) as part:
        _copy(source, part)
        revision = _inspect(part)
        _settle(part)
    return revision


def restore(settings: DatabaseSettings, file: Path, *, replace: bool) -> str:
    """Make the database what it was when `file` was written. Gives its revision.

    Errors: InvalidInput for PostgreSQL and for what is no whole back-up; SchemaMismatch for one of a newer Clew; Conflict
            where there is a database that may not be replaced, or that somebody has open. Nothing is changed then.
    """
    target = _file(settings)
    if not file.is_file():
        raise InvalidInput(f"There is no file {file}.")
    with _sentences(f"{file} cannot be restored"):
        revision = _inspect(file)
    migrate.check_known(revision)
    if target.exists() and not replace:
        raise Conflict(f"There is a database at {target} already. To lose what is in it: clew db restore --replace {file}")
    with _sentences(f"The database at {target} was not restored"):
        if target.exists():
            _claim(target)
            _copy(file, target)  # within a transaction of the target: all of it or nothing
            _settle(target)
        else:
            with _becoming(target) as part:
                _copy(file, part)
                _settle(part)
    return revision


def _file(settings: DatabaseSettings) -> Path:
    url = driver_url(settings.url)
    if url.get_backend_name() != "sqlite":
        raise InvalidInput("This copies SQLite. For PostgreSQL use pg_dump and pg_restore: docs/administration.md says how.")
    return Path(url.database or "")


@contextmanager
def _becoming(file: Path) -> Iterator[Path]:
    """A file beside it that only its owner can read, and that takes its name when the block ends well."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    os.close(handle)
    part = Path(name)
    try:
        yield part
        os.link(part, file)  # unlike a rename, this never replaces what came there meanwhile
    finally:
        part.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    """All pages in one step: one moment of the source. With its write-ahead log, writers do not wait for this."""
    with closing(_open(source)) as read, closing(_open(target)) as write:
        read.backup(write)


def _inspect(file: Path) -> str:
    """The schema's revision of a whole database of Clew.

    Errors: InvalidInput.
    """
    # Immutable: a back-up on a read-only medium is read without the files SQLite would put beside it.
    with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as database:
        fault = str(database.execute("PRAGMA integrity_check(1)").fetchone()[0])
        if fault != "ok":
            raise InvalidInput(f"{file} is damaged: {fault.splitlines()[-1][:200]}.")
        try:
            found = database.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:
            found = None
    if found is None:
        raise InvalidInput(f"{file} is no database of Clew.")
    return str(found[0])


def _claim(file: Path) -> None:
    """Pass when nobody has the database open: only then does SQLite give up the write-ahead log.

    Errors: Conflict.
    """
    with closing(_open(file)) as database:
        try:
            database.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError:
            raise Conflict(f"The database at {file} is in use. Stop the server first.") from None


def _settle(file: Path) -> None:
    """Make it one file without a log beside it, safely on the disk."""
    with closing(_open(file)) as database:
        database.execute("PRAGMA journal_mode = DELETE")
    for path in (file, file.parent):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file, timeout=5, isolation_level=None)


@contextmanager
def _sentences(what: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise InvalidInput(f"{what}: {why}.") from error
