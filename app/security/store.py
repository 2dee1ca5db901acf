"""The questions asked of people, sessions and log-in attempts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.security.roles import Person, Role
from app.security.tables import LoginAttemptRow, SessionRow, UserRow


def person(row: UserRow) -> Person:
    return Person(id=row.id, name=row.name, display_name=row.display_name, role=Role(row.role))


async def user_named(db: AsyncSession, name: str) -> UserRow | None:
    return (await db.scalars(select(UserRow).where(UserRow.name == name))).one_or_none()


async def user_with_id(db: AsyncSession, user_id: str) -> UserRow | None:
    return await db.get(UserRow, user_id)


async def all_users(db: AsyncSession) -> Sequence[UserRow]:
    return (await db.scalars(select(UserRow).order_by(UserRow.name))).all()


async def people(db: AsyncSession) -> list[Person]:
    """Everybody who may sign in, for choosing an assignee."""
    rows = await db.scalars(select(UserRow).where(UserRow.disabled_at.is_(None)).order_by(UserRow.display_name))
    return [person(row) for row in rows]


async def has_users(db: AsyncSession) -> bool:
    return (await db.scalar(select(UserRow.id).limit(1))) is not None


async def active_admins(db: AsyncSession) -> int:
    admins = select(func.count()).where(UserRow.role == Role.ADMIN.value, UserRow.disabled_at.is_(None))
    return await db.scalar(admins) or 0


async def session_and_user(db: AsyncSession, token_hash: str) -> tuple[SessionRow, UserRow] | None:
    """The session with its person, unless the person was disabled."""
    both = (
        select(SessionRow, UserRow)
        .join(UserRow, UserRow.id == SessionRow.user_id)
        .where(SessionRow.token_hash == token_hash, UserRow.disabled_at.is_(None))
    )
    row = (await db.execute(both)).one_or_none()
    return None if row is None else (row[0], row[1])


async def touch_session(db: AsyncSession, token_hash: str, at: dt.datetime) -> None:
    await db.execute(update(SessionRow).where(SessionRow.token_hash == token_hash).values(seen_at=at))


async def drop_session(db: AsyncSession, token_hash: str) -> None:
    await db.execute(delete(SessionRow).where(SessionRow.token_hash == token_hash))


async def drop_sessions_of(db: AsyncSession, user_id: str) -> None:
    await db.execute(delete(SessionRow).where(SessionRow.user_id == user_id))


async def drop_stale_sessions(db: AsyncSession, *, created_before: dt.datetime, seen_before: dt.datetime) -> None:
    stale = (SessionRow.created_at < created_before) | (SessionRow.seen_at < seen_before)
    await db.execute(delete(SessionRow).where(stale))


async def failures_of_account(db: AsyncSession, account: str, since: dt.datetime) -> list[dt.datetime]:
    """Times of an account's failed tries since its last success, none older than `since`."""
    tries = (
        select(LoginAttemptRow.at, LoginAttemptRow.succeeded)
        .where(LoginAttemptRow.account == account, LoginAttemptRow.at > since)
        .order_by(LoginAttemptRow.at.desc(), LoginAttemptRow.id.desc())
        .limit(1000)
    )
    failures: list[dt.datetime] = []
    for at, succeeded in await db.execute(tries):
        if succeeded:
            break
        failures.append(at)
    return failures


async def failures_from_address(db: AsyncSession, address: str, since: dt.datetime) -> list[dt.datetime]:
    """Times of all failed tries from an address. A success does not clear them: the attacker may own one account."""
    tries = (
        select(LoginAttemptRow.at)
        .where(LoginAttemptRow.address == address, LoginAttemptRow.at > since, LoginAttemptRow.succeeded.is_(False))
        .order_by(LoginAttemptRow.at.desc())
        .limit(1000)
    )
    return list(await db.scalars(tries))


async def drop_attempts_before(db: AsyncSession, moment: dt.datetime) -> None:
    await db.execute(delete(LoginAttemptRow).where(LoginAttemptRow.at < moment))
