"""Signing in, step by step, so that neither words nor time tell whether a name exists.

    1. one short transaction: is the account or the address locked? If not, write the try down, as failed.
    2. no transaction: hash and compare (a fifth of a second; the database must not wait for it).
    3. one short transaction: right: mark the try, end the browser's old session, issue a new one. Wrong: audit it.

Because the try is written before the password is looked at, a hundred tries sent at once are a hundred failures.
"""

from __future__ import annotations

import dataclasses
import datetime as dt

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.session import Database
from app.security import audit, lockout, passwords, sessions, store
from app.security.accounts import account_name
from app.security.audit import Act
from app.security.lockout import Locked
from app.security.roles import Person, Role
from app.security.tables import LoginAttemptRow
from app.settings import SecuritySettings


@dataclasses.dataclass(frozen=True)
class Door:
    """Where a try comes from."""

    address: str
    user_agent: str
    old_token: str = ""  # the reference the browser already had, which dies with a new log-in


@dataclasses.dataclass(frozen=True)
class SignedIn:
    person: Person
    token: str


@dataclasses.dataclass(frozen=True)
class Refused:
    """Why not, in words that are the same for every name."""

    sentence: str
    locked: Locked | None = None


async def sign_in(
    database: Database, name: str, password: str, *, door: Door, settings: SecuritySettings, at: dt.datetime
) -> SignedIn | Refused:
    """Let somebody in, or say why not."""
    account = account_name(name)
    async with database.writing() as db:
        await _one_at_a_time(db, account, door.address)
        lock = await _lock(db, account, door.address, settings, at)
        if lock:
            return Refused(lock.sentence(at), lock)
        attempt = LoginAttemptRow(account=account, address=door.address[:45], at=at, succeeded=False)
        db.add(attempt)
        await store.drop_attempts_before(db, at - lockout.MEMORY)

    async with database.reading() as db:
        user = await store.user_named(db, account)
    right = await passwords.verified(user.password_hash if user else None, password)
    renewed = await passwords.renewed(user.password_hash, password) if user and right else None

    async with database.writing() as db:
        user = await store.user_named(db, account)  # again: it may have been disabled meanwhile
        if not right or user is None or user.disabled_at is not None:
            somebody = Person(id="", name=account, display_name=account, role=Role.VIEWER)
            await audit.record(db, Act.SIGN_IN_FAILED, by=somebody, on=("account", account), at=at, address=door.address)
            return Refused("Name or password is not right.")
        attempt = await db.merge(attempt)
        attempt.succeeded = True
        if renewed:
            user.password_hash = renewed
        await sessions.sweep(db, limits=sessions.Limits.of(settings), at=at)
        if door.old_token:
            await sessions.revoke(db, door.old_token)
        token = await sessions.issue(db, user.id, at=at, address=door.address, user_agent=door.user_agent)
        person = store.person(user)
        await audit.record(db, Act.SIGNED_IN, by=person, on=("user", user.id), at=at, address=door.address)
        return SignedIn(person, token)


async def sign_out(db: AsyncSession, token: str, *, by: Person, at: dt.datetime, address: str) -> None:
    """End this browser's session."""
    await sessions.revoke(db, token)
    await audit.record(db, Act.SIGNED_OUT, by=by, on=("user", by.id), at=at, address=address)


async def _lock(db: AsyncSession, account: str, address: str, settings: SecuritySettings, at: dt.datetime) -> Locked | None:
    since = at - lockout.MEMORY
    of_account = await store.failures_of_account(db, account, since)
    from_address = await store.failures_from_address(db, address, since)
    locks = [
        lockout.locked(of_account, at, allowed=settings.lockout_failures),
        lockout.locked(from_address, at, allowed=settings.lockout_address_failures),
    ]
    return max((lock for lock in locks if lock), key=lambda lock: lock.until, default=None)


async def _one_at_a_time(db: AsyncSession, account: str, address: str) -> None:
    """Tries of one account or address are counted one after the other.

    On SQLite the writing transaction sees to that. PostgreSQL gets a lock per account, then per address: always in this
    order, and nobody waits for an account while holding an address, so two tries never wait for each other.
    """
    if db.get_bind().dialect.name == "postgresql":
        for key in (f"login account {account}", f"login address {address}"):
            await db.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})
