"""The verbs on people: add, set a role, set a password, disable, enable. Each leaves its audit row.

They change who may do what, so they end the sessions of the person they concern.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata

from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict, InvalidInput, NotFound
from app.security import audit, passwords, store
from app.security.audit import Act
from app.security.roles import Person, Role
from app.security.tables import UserRow

_NAME = re.compile(r"[^\W_][\w.@+-]{0,79}")


def account_name(text: str) -> str:
    """The form a name is stored and looked up in: NFKC, without case, at most 80 characters."""
    return unicodedata.normalize("NFKC", text).strip().casefold()[:80]


async def add(
    db: AsyncSession, name: str, password: str, role: Role, *, by: Person, at: dt.datetime, display_name: str = ""
) -> Person:
    """Somebody new who may sign in.

    Errors: InvalidInput (name or password), Conflict where the name is taken.
    """
    name = account_name(name)
    if not _NAME.fullmatch(name):
        raise InvalidInput("A name begins with a letter or digit and has letters, digits and . _ @ + - only.", field="name")
    # Before the first query: a fifth of a second in which nobody else must wait for the database.
    password_hash = await passwords.hashed(password)
    if await store.user_named(db, name):
        raise Conflict(f"There is already a user {name}.")
    row = UserRow(
        name=name,
        display_name=(display_name.strip() or name)[:120],
        role=role.value,
        password_hash=password_hash,
        created_at=at,
    )
    db.add(row)
    await db.flush()
    await audit.record(db, Act.USER_ADDED, by=by, on=("user", row.id), at=at, detail={"name": name, "role": role.value})
    return store.person(row)


async def set_password(db: AsyncSession, name: str, password: str, *, by: Person, at: dt.datetime) -> Person:
    """A new password; every session of the person ends."""
    password_hash = await passwords.hashed(password)
    row = await _find(db, name)
    row.password_hash = password_hash
    await store.drop_sessions_of(db, row.id)
    await audit.record(db, Act.USER_PASSWORD_SET, by=by, on=("user", row.id), at=at)
    return store.person(row)


async def set_role(db: AsyncSession, name: str, role: Role, *, by: Person, at: dt.datetime) -> Person:
    """Another role; every session of the person ends, so that none lives on with the old one."""
    row = await _find(db, name)
    if row.role == role.value:
        return store.person(row)
    await _keep_an_admin(db, row)
    change = {"role": {"from": row.role, "to": role.value}}
    row.role = role.value
    await store.drop_sessions_of(db, row.id)
    await audit.record(db, Act.USER_ROLE_CHANGED, by=by, on=("user", row.id), at=at, detail=change)
    return store.person(row)


async def disable(db: AsyncSession, name: str, *, by: Person, at: dt.datetime) -> Person:
    """Nobody can sign in by this name any more, and whoever is signed in by it no longer is."""
    row = await _find(db, name)
    if row.disabled_at is None:
        await _keep_an_admin(db, row)
        row.disabled_at = at
        await store.drop_sessions_of(db, row.id)
        await audit.record(db, Act.USER_DISABLED, by=by, on=("user", row.id), at=at)
    return store.person(row)


async def enable(db: AsyncSession, name: str, *, by: Person, at: dt.datetime) -> Person:
    row = await _find(db, name)
    if row.disabled_at is not None:
        row.disabled_at = None
        await audit.record(db, Act.USER_ENABLED, by=by, on=("user", row.id), at=at)
    return store.person(row)


async def _find(db: AsyncSession, name: str) -> UserRow:
    row = await store.user_named(db, account_name(name))
    if row is None:
        raise NotFound(f"There is no user {name[:80]}.")
    return row


async def _keep_an_admin(db: AsyncSession, row: UserRow) -> None:
    """A house without an admin cannot be repaired from its pages."""
    if row.role == Role.ADMIN.value and row.disabled_at is None and await store.active_admins(db) == 1:
        raise Conflict(f"{row.name} is the only admin. Make somebody else admin first.")
