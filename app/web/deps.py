"""What a handler is given: database, person, time, clients; and what it must declare: who may call it.

    @router.post("/cases/{case_id}/notes", dependencies=[needs(Permission.CASE_WRITE)])
    async def add_note(request: Request, db: Db, who: Who, now: Now, ...) -> Response: ...

Every route declares its access, by `needs(...)`, `anonymous("why")` or `own_token("how")`; the app does not start otherwise.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from app import times
from app.db.session import Database
from app.errors import SignInNeeded
from app.house.live import LiveRules
from app.security import roles, sessions, store
from app.security.origin import SAFE_METHODS
from app.security.roles import Permission, Person
from app.settings import Settings
from app.times import UnixNanos
from app.web.clients import Clients


@dataclasses.dataclass(frozen=True)
class Access:
    """A route's declared access: a permission, or openness with its reason."""

    permission: Permission | None
    reason: str = ""

    async def __call__(self, request: Request) -> None:
        if self.permission is not None:
            roles.require(await _signed_in(request), self.permission)


def needs(permission: Permission) -> Any:
    """Only for people whose role grants it."""
    return Depends(Access(permission))


def anonymous(reason: str) -> Any:
    """For everybody, because of the reason given."""
    return Depends(Access(None, reason))


def own_token(reason: str) -> Any:
    """For machines; the handler checks a credential of its own, as the reason says."""
    return Depends(Access(None, reason))


def session_cookie(request: Request) -> sessions.Cookie:
    """The cookie as this connection can carry it: HTTPS-only, except on a server that only this machine can reach."""
    settings: Settings = request.app.state.settings
    secure = settings.security.secure_cookies
    if secure is None:
        secure = request.url.scheme == "https" or not is_loopback(settings.web.host)
    return sessions.Cookie.of(secure=secure)


def is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


async def identify(request: Request) -> Person | None:
    """Who is signed in, asked of the database once per request."""
    if not hasattr(request.state, "person"):
        request.state.person = await _recognise(request)
    person: Person | None = request.state.person
    return person


async def _recognise(request: Request) -> Person | None:
    token = request.cookies.get(session_cookie(request).name)
    if not token:
        return None
    database: Database = request.app.state.database
    now = times.utc_now()
    limits = sessions.Limits.of(request.app.state.settings.security)
    # Transactions of their own, ended before the handler's begins: a page that waits for Tempo must not hold them.
    async with database.reading() as db:
        found = await sessions.recognise(db, token, limits=limits, at=now)
    if found is None:
        return None
    if found.is_touch_due:
        async with database.writing() as db:
            await store.touch_session(db, found.token_hash, now)
    return found.person


async def _signed_in(request: Request) -> Person:
    person = await identify(request)
    if person is None:
        raise SignInNeeded("Sign in to go on.")
    return person


async def _session(request: Request) -> AsyncIterator[AsyncSession]:
    database: Database = request.app.state.database
    async with database.reading() if request.method in SAFE_METHODS else database.writing() as db:
        yield db


async def _writing_session(request: Request) -> AsyncIterator[AsyncSession]:
    database: Database = request.app.state.database
    async with database.writing() as db:
        yield db


# scope="function": the transaction is committed when the handler returns, before its answer leaves. With FastAPI's default
# it would be committed afterwards, and a failed commit would look like success.
Db = Annotated[AsyncSession, Depends(_session, scope="function")]
# For a GET that leaves a trace, such as an export with its audit row. `Db` reads on GET and HEAD and writes on the rest.
WritingDb = Annotated[AsyncSession, Depends(_writing_session, scope="function")]

Who = Annotated[Person, Depends(_signed_in)]
MaybeWho = Annotated[Person | None, Depends(identify)]


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


def _clients(request: Request) -> Clients:
    clients: Clients = request.app.state.clients
    return clients


def _rules(request: Request) -> LiveRules:
    rules: LiveRules = request.app.state.rules
    return rules


# For work outside the handler's transaction: streamed exports, log-in.
TheDatabase = Annotated[Database, Depends(_database)]
TheSettings = Annotated[Settings, Depends(_settings)]
TheClients = Annotated[Clients, Depends(_clients)]
TheRules = Annotated[LiveRules, Depends(_rules)]
Now = Annotated[UnixNanos, Depends(times.now_ns)]
UtcNow = Annotated[dt.datetime, Depends(times.utc_now)]
