"""The shop's database as a service sees it: one role, rows guarded by the database itself.

PostgreSQL guards with grants and row-level security. Where it is not installed SQLite stands in: an authorizer callback
refuses the statements a role has no grant for, and triggers refuse rows that belong to somebody else. SQLite has no
users of its own, so the role is only as strong as the process that names it; the resource attributes say which one runs.
"""

from __future__ import annotations

import queue
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from app.lab.schema import GRANTS

Row = Sequence[Any]


class Cursor(Protocol):
    """What both drivers offer and the services use."""

    def execute(self, query: str, parameters: Sequence[Any] = ..., /) -> Any: ...
    def fetchone(self) -> Row | None: ...
    def fetchall(self) -> Sequence[Row]: ...


class Database(Protocol):
    @contextmanager
    def transaction(self, *, user_id: str = "", roles: Sequence[str] = ()) -> Iterator[Cursor]:
        """One transaction on behalf of a user, whom row-level security knows by `user_id` and `roles`."""
        ...

    def close(self) -> None: ...


def connect(url: str, role: str) -> Database:
    """A service's database. `role` names the SQLite stand-in's grants; PostgreSQL has it in the URL."""
    return Postgres(url) if url.startswith("postgresql:") else Sqlite(url.removeprefix("sqlite:///"), role)


class Postgres:
    """A few kept connections: the first is made at once, so that the first request does not wait, the others when needed."""

    def __init__(self, url: str, size: int = 8) -> None:
        # Imported here: the SQLite stand-in works without psycopg.
        import psycopg

        self._connect = psycopg.connect
        self._url = url
        self._free: queue.LifoQueue[Any] = queue.LifoQueue()
        for _ in range(size - 1):
            self._free.put(None)
        self._free.put(self._connect(url, connect_timeout=3))

    @contextmanager
    def transaction(self, *, user_id: str = "", roles: Sequence[str] = ()) -> Iterator[Cursor]:
        connection = self._free.get()
        try:
            if connection is None or connection.closed:
                connection = self._connect(self._url, connect_timeout=3)
            with connection.transaction(), connection.cursor() as cursor:
                if user_id:
                    cursor.execute(
                        "SELECT set_config('app.user_id', %s, true), set_config('app.roles', %s, true)",
                        (user_id, ",".join(roles)),
                    )
                yield cursor
        finally:
            self._free.put(connection)

    def close(self) -> None:
        while True:
            try:
                connection = self._free.get_nowait()
            except queue.Empty:
                return
            if connection is not None:
                connection.close()


class Sqlite:
    """One connection per transaction: an authorizer belongs to its connection, and opening a file is cheap."""

    def __init__(self, path: str, role: str) -> None:
        self._path = path
        self._grants = GRANTS[role]

    @contextmanager
    def transaction(self, *, user_id: str = "", roles: Sequence[str] = ()) -> Iterator[Cursor]:
        connection = sqlite3.connect(self._path, timeout=5, isolation_level=None)
        try:
            cursor = _Translated(connection.cursor())
            connection.create_function("app_user_id", 0, lambda: user_id)
            connection.create_function("app_roles", 0, lambda: ",".join(roles))
            connection.set_authorizer(self._authorize)
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")
        finally:
            connection.close()

    def close(self) -> None:
        """Nothing is kept open."""

    def _authorize(self, action: int, first: str | None, second: str | None, base: str | None, trigger: str | None) -> int:
        verb = _VERBS.get(action)
        # Statements without a table, and the lookups a trigger makes on its own, are not a grant's business.
        if verb is None or trigger is not None or first is None or first.startswith("sqlite_"):
            return sqlite3.SQLITE_OK
        return sqlite3.SQLITE_OK if (verb, first) in self._grants else sqlite3.SQLITE_DENY


_VERBS = {
    sqlite3.SQLITE_READ: "SELECT",
    sqlite3.SQLITE_INSERT: "INSERT",
    sqlite3.SQLITE_UPDATE: "UPDATE",
    sqlite3.SQLITE_DELETE: "DELETE",
}


class _Translated:
    """A SQLite cursor that takes psycopg's placeholders."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    def execute(self, query: str, parameters: Sequence[Any] = (), /) -> Any:
        return self._cursor.execute(query.replace("%s", "?"), parameters)

    def fetchone(self) -> Row | None:
        row: Row | None = self._cursor.fetchone()
        return row

    def fetchall(self) -> Sequence[Row]:
        return self._cursor.fetchall()
