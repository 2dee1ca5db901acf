"""The whole app in one process, asked through its ASGI interface, with people who are signed in.

async with site.open(tmp_path) as here:
    answer = await here.anonymous.get("/login")
    answer = await here.as_("analyst").post("/cases", data=...)
"""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest import mock

import httpx2 as httpx
import structlog

from app import paths, times
from app.db import migrate
from app.main import create_app
from app.security import sessions
from app.security.roles import Person, Role
from app.security.tables import UserRow
from app.settings import Settings, load
from app.web import render
from app.web.assets import Assets

# Plain lines: structlog's pictures of tracebacks, made for terminals, take seconds each.
structlog.configure(
    processors=[structlog.processors.add_log_level, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
)

ORIGIN = "http://127.0.0.1:8000"
# The hash of "correct horse battery staple", made once with the lowest costs: log-in tests need it to be quick.
PASSWORD = "correct horse battery staple"


@functools.cache
def _password_hash() -> str:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)


class Site:
    def __init__(self, app: Any, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.people: dict[str, Person] = {}
        self._clients: list[httpx.AsyncClient] = []

    @property
    def database(self) -> Any:
        return self.app.state.database

    @property
    def anonymous(self) -> httpx.AsyncClient:
        """A browser that nobody is signed in with."""
        return self.client()

    def client(self, token: str = "", **headers: str) -> httpx.AsyncClient:
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app, raise_app_exceptions=False, client=("127.0.0.1", 4711)),
            base_url=ORIGIN,
            headers={"sec-fetch-site": "same-origin", **headers},
            cookies={"clew": token} if token else None,
        )
        self._clients.append(client)
        return client

    async def add_user(self, name: str, role: str) -> Person:
        """Somebody who may sign in with PASSWORD."""
        async with self.database.writing() as db:
            row = UserRow(
                name=name, display_name=name.title(), role=role, password_hash=_password_hash(), created_at=times.utc_now()
            )
            db.add(row)
            await db.flush()
            person = Person(row.id, name, row.display_name, Role(role))
        self.people[name] = person
        return person

    async def token_for(self, person: Person) -> str:
        """A session of that person: the value of the cookie."""
        async with self.database.writing() as db:
            return await sessions.issue(db, person.id, at=times.utc_now(), address="127.0.0.1", user_agent="test")

    async def as_(self, role: str) -> httpx.AsyncClient:
        """A browser in which somebody of that role (its name, too) is signed in."""
        return self.client(await self.token_for(self.people.get(role) or await self.add_user(role, role)))

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()


@functools.cache
def _templates(folder: Path) -> Any:
    """The compiled templates, shared by all tests of a process: compiling them is a third of putting the app together."""
    return _environment(folder, Assets(paths.folder("static")))


_environment = render.environment


@functools.cache
def _migrated() -> bytes:
    """A database at the newest schema, made once and written out for each test: migrations have tests of their own."""
    import asyncio
    import threading

    with tempfile.TemporaryDirectory(prefix="clew-site-") as folder:
        file = Path(folder) / "clew.db"
        settings = load(database={"url": f"sqlite:///{file}"}).database
        # In a thread with its own loop: the caller's is running.
        thread = threading.Thread(target=lambda: asyncio.run(migrate.upgrade(settings)))
        thread.start()
        thread.join()
        return file.read_bytes()


@contextlib.asynccontextmanager
async def open(folder: Path, **given: Any) -> AsyncIterator[Site]:
    """The app with a database of its own in `folder`; `given` are settings."""
    file = folder / "clew.db"
    if not file.exists():
        file.write_bytes(_migrated())
    settings = load(**{"database": {"url": f"sqlite:///{file}"}, **given})
    with mock.patch.object(render, "environment", lambda folder, assets: _templates(folder)):
        app = create_app(settings)
    async with app.router.lifespan_context(app):
        here = Site(app, settings)
        try:
            yield here
        finally:
            await here.close()
