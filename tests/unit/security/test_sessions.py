import datetime as dt

import pytest
from sqlalchemy import select

from app.security import accounts, sessions, store
from app.security.roles import COMMAND_LINE, Role
from app.security.sessions import Cookie, Limits
from app.security.tables import SessionRow

LIMITS = Limits(idle=dt.timedelta(minutes=60), whole=dt.timedelta(hours=12))
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
async def ines(database, noon):
    async with database.writing() as db:
        await accounts.add(db, "root", "correct horse battery", Role.ADMIN, by=COMMAND_LINE, at=noon)
        return await accounts.add(db, "ines", "correct horse battery", Role.ANALYST, by=COMMAND_LINE, at=noon)


@pytest.fixture
async def token(database, ines, noon):
    async with database.writing() as db:
        return await sessions.issue(db, ines.id, at=noon, address="203.0.113.5", user_agent="x" * 999)


async def who(database, token, at):
    async with database.reading() as db:
        found = await sessions.recognise(db, token, limits=LIMITS, at=at)
    return found.person.name if found else None


async def test_the_bearer_of_the_reference_is_recognised(database, token, noon):
    assert await who(database, token, noon) == "ines"


async def test_the_reference_has_256_bits_and_only_its_hash_is_stored(database, token):
    assert len(token) == 43
    async with database.reading() as db:
        row = (await db.scalars(select(SessionRow))).one()
    assert token not in (row.token_hash, row.address, row.user_agent)
    assert len(row.token_hash) == 64
    assert len(row.user_agent) == 200


@pytest.mark.parametrize("other", ["", "x", "x" * 43, "x" * 5000])
async def test_another_reference_is_nobody(database, token, noon, other):
    assert await who(database, other, noon) is None


async def test_the_stored_hash_is_no_reference(database, token, noon):
    async with database.reading() as db:
        stored = await db.scalar(select(SessionRow.token_hash))
    assert await who(database, stored, noon) is None


async def test_a_session_ends_after_idle_time(database, token, noon):
    assert await who(database, token, noon + 60 * MINUTE) == "ines"
    assert await who(database, token, noon + 60 * MINUTE + dt.timedelta(seconds=1)) is None


async def test_use_keeps_it_alive_until_its_whole_time_is_over(database, token, noon):
    at = noon
    while at < noon + LIMITS.whole:
        assert await who(database, token, at) == "ines"
        async with database.writing() as db:
            await store.touch_session(db, await db.scalar(select(SessionRow.token_hash)), at)
        at += 50 * MINUTE
    assert await who(database, token, noon + LIMITS.whole + MINUTE) is None


async def test_the_last_use_is_written_at_most_once_a_minute(database, token, noon):
    async with database.reading() as db:
        soon = await sessions.recognise(db, token, limits=LIMITS, at=noon + dt.timedelta(seconds=59))
        later = await sessions.recognise(db, token, limits=LIMITS, at=noon + MINUTE)
    assert (soon.is_touch_due, later.is_touch_due) == (False, True)


async def test_logging_out_ends_this_session_only(database, ines, token, noon):
    async with database.writing() as db:
        other = await sessions.issue(db, ines.id, at=noon, address="", user_agent="")
        await sessions.revoke(db, token)
    assert await who(database, token, noon) is None
    assert await who(database, other, noon) == "ines"


@pytest.mark.parametrize(
    "change",
    [
        lambda db, at: accounts.disable(db, "ines", by=COMMAND_LINE, at=at),
        lambda db, at: accounts.set_role(db, "ines", Role.VIEWER, by=COMMAND_LINE, at=at),
        lambda db, at: accounts.set_password(db, "ines", "another long password", by=COMMAND_LINE, at=at),
    ],
    ids=["disabled", "another role", "another password"],
)
async def test_a_change_of_the_person_ends_all_their_sessions(database, ines, token, noon, change):
    async with database.writing() as db:
        second = await sessions.issue(db, ines.id, at=noon, address="", user_agent="")
    async with database.writing() as db:
        await change(db, noon)
    assert [await who(database, one, noon) for one in (token, second)] == [None, None]


async def test_sessions_that_ended_are_swept_away(database, ines, token, noon):
    async with database.writing() as db:
        await sessions.sweep(db, limits=LIMITS, at=noon + 59 * MINUTE)
        assert len((await db.scalars(select(SessionRow))).all()) == 1
        await sessions.sweep(db, limits=LIMITS, at=noon + 61 * MINUTE)
        assert (await db.scalars(select(SessionRow))).all() == []


def test_the_cookie_over_https():
    cookie = Cookie.of(secure=True).set("abc", dt.timedelta(hours=12))
    assert cookie == "__Host-clew=abc; Max-Age=43200; Path=/; HttpOnly; SameSite=Lax; Secure"


def test_the_cookie_on_this_machine():
    cookie = Cookie.of(secure=False)
    assert cookie.set("abc", dt.timedelta(hours=1)) == "clew=abc; Max-Age=3600; Path=/; HttpOnly; SameSite=Lax"
    assert cookie.clear() == "clew=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"
