"""Server-side sessions: issue, recognise, revoke; and the cookie that carries the reference.

The cookie holds 256 random bits and means nothing by itself; the database holds their SHA-256, so that a copy of the
database opens no door. A session ends by log-out, after idle time, after its whole time, when its person is disabled,
and when their role or password changes.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import secrets

from sqlalchemy.ext.asyncio import AsyncSession

from app.security import store
from app.security.roles import Person
from app.security.tables import SessionRow
from app.settings import SecuritySettings

# The last use is written at most this often: a page of twenty requests is one write, not twenty.
_TOUCH_EVERY = dt.timedelta(minutes=1)


@dataclasses.dataclass(frozen=True)
class Cookie:
    """The session cookie's name and attributes, as a browser asks for them."""

    name: str
    secure: bool

    @classmethod
    def of(cls, *, secure: bool) -> Cookie:
        # The prefix makes the browser refuse the name from a subdomain or over plain HTTP.
        return cls("__Host-clew" if secure else "clew", secure)

    def set(self, token: str, max_age: dt.timedelta) -> str:
        """The value of a Set-Cookie header."""
        return f"{self.name}={token}; Max-Age={int(max_age.total_seconds())}{self._attributes}"

    def clear(self) -> str:
        return f"{self.name}=; Max-Age=0{self._attributes}"

    @property
    def _attributes(self) -> str:
        return f"; Path=/; HttpOnly; SameSite=Lax{'; Secure' if self.secure else ''}"


@dataclasses.dataclass(frozen=True)
class Limits:
    idle: dt.timedelta
    whole: dt.timedelta

    @classmethod
    def of(cls, settings: SecuritySettings) -> Limits:
        return cls(dt.timedelta(minutes=settings.session_idle_min), dt.timedelta(hours=settings.session_hours))


@dataclasses.dataclass(frozen=True)
class Recognised:
    """A valid session: whose it is, and whether its last use is due to be written down."""

    person: Person
    token_hash: str
    is_touch_due: bool


async def issue(db: AsyncSession, user_id: str, *, at: dt.datetime, address: str, user_agent: str) -> str:
    """Open a session and return the reference for the cookie. It is never stored and cannot be read back."""
    token = secrets.token_urlsafe(32)
    db.add(
        SessionRow(
            token_hash=_hash(token), user_id=user_id, created_at=at, seen_at=at,
            address=address[:45], user_agent=user_agent[:200],
        )
    )  # fmt: skip
    await db.flush()
    return token


async def recognise(db: AsyncSession, token: str, *, limits: Limits, at: dt.datetime) -> Recognised | None:
    """Who the reference belongs to, if its session still lives."""
    if not 20 <= len(token) <= 100:
        return None
    found = await store.session_and_user(db, _hash(token))
    if found is None:
        return None
    session, user = found
    if at - session.created_at > limits.whole or at - session.seen_at > limits.idle:
        return None
    return Recognised(store.person(user), session.token_hash, at - session.seen_at >= _TOUCH_EVERY)


async def revoke(db: AsyncSession, token: str) -> None:
    await store.drop_session(db, _hash(token))


async def sweep(db: AsyncSession, *, limits: Limits, at: dt.datetime) -> None:
    """Forget sessions that ended by themselves."""
    await store.drop_stale_sessions(db, created_before=at - limits.whole, seen_before=at - limits.idle)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
