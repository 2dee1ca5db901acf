import asyncio
import datetime as dt

import pytest
from sqlalchemy import select

from app.security import accounts, login, passwords, sessions
from app.security.login import Door, Refused, SignedIn
from app.security.roles import COMMAND_LINE, Role
from app.security.tables import AuditRow, LoginAttemptRow, UserRow
from app.settings import SecuritySettings

SETTINGS = SecuritySettings.model_validate({})
PASSWORD = "correct horse battery"
HERE = Door("203.0.113.5", "test")
MINUTE = dt.timedelta(minutes=1)
WRONG = "Name or password is not right."


@pytest.fixture
async def house(database, noon):
    async with database.writing() as db:
        await accounts.add(db, "root", PASSWORD, Role.ADMIN, by=COMMAND_LINE, at=noon)
        await accounts.add(db, "ines", PASSWORD, Role.ANALYST, by=COMMAND_LINE, at=noon)
    return database


async def attempt(house, name="ines", password=PASSWORD, *, at, door=HERE):
    return await login.sign_in(house, name, password, door=door, settings=SETTINGS, at=at)


async def test_the_right_password_lets_in(house, noon):
    result = await attempt(house, " INES ", at=noon)
    assert isinstance(result, SignedIn)
    assert result.person.name == "ines"
    async with house.reading() as db:
        found = await sessions.recognise(db, result.token, limits=sessions.Limits.of(SETTINGS), at=noon)
    assert found.person == result.person


@pytest.mark.parametrize(("name", "password"), [("ines", "wrong"), ("nobody", PASSWORD), ("", ""), ("ines", "")])
async def test_every_other_try_gets_the_same_words(house, noon, name, password):
    assert await attempt(house, name, password, at=noon) == Refused(WRONG)


async def test_a_disabled_person_gets_the_same_words_and_no_session(house, noon):
    async with house.writing() as db:
        await accounts.disable(db, "ines", by=COMMAND_LINE, at=noon)
    assert await attempt(house, at=noon) == Refused(WRONG)


async def test_an_unknown_name_is_verified_like_a_known_one(house, noon, monkeypatch):
    asked = []
    verify = passwords._verify
    monkeypatch.setattr(passwords, "_verify", lambda stored, password: asked.append(stored) or verify(stored, password))
    for name in ("ines", "nobody"):
        await attempt(house, name, "wrong", at=noon)
    assert len(asked) == 2


@pytest.mark.parametrize("name", ["ines", "nobody"])
async def test_five_failures_lock_a_name_known_or_not_and_time_unlocks_it(house, noon, name):
    for _ in range(5):
        assert await attempt(house, name, "wrong", at=noon) == Refused(WRONG)
    locked = await attempt(house, name, PASSWORD, at=noon)
    assert locked.sentence == "Too many wrong tries. Wait 5 minutes."
    assert locked.locked.until == noon + 5 * MINUTE
    later = await attempt(house, name, PASSWORD, at=noon + 5 * MINUTE)
    assert isinstance(later, SignedIn) == (name == "ines")


async def test_a_lock_from_one_address_holds_from_every_other(house, noon):
    for n in range(5):
        await attempt(house, password="wrong", at=noon, door=Door(f"203.0.113.{n}", ""))
    assert (await attempt(house, at=noon, door=Door("192.0.2.99", ""))).locked


async def test_hammering_at_a_locked_name_does_not_prolong_the_wait(house, noon):
    for _ in range(5):
        await attempt(house, password="wrong", at=noon)
    for minute in range(5):
        assert (await attempt(house, password="wrong", at=noon + minute * MINUTE)).locked
    assert isinstance(await attempt(house, at=noon + 5 * MINUTE), SignedIn)


async def test_a_success_forgives_the_failures_before_it(house, noon):
    for round_ in range(4):
        for _ in range(4):
            await attempt(house, password="wrong", at=noon + round_ * MINUTE)
        assert isinstance(await attempt(house, at=noon + round_ * MINUTE + dt.timedelta(seconds=1)), SignedIn)


async def test_twenty_failures_from_one_address_lock_it_whatever_the_names(house, noon):
    for n in range(20):
        assert not (await attempt(house, f"name{n}", "wrong", at=noon)).locked
    assert (await attempt(house, at=noon)).locked
    assert isinstance(await attempt(house, at=noon, door=Door("192.0.2.99", "")), SignedIn)


async def test_an_attackers_own_account_does_not_clear_the_address(house, noon):
    for n in range(19):
        await attempt(house, f"name{n}", "wrong", at=noon)
    assert isinstance(await attempt(house, at=noon), SignedIn)
    assert not (await attempt(house, "name20", "wrong", at=noon)).locked
    assert (await attempt(house, at=noon)).locked


async def test_a_hundred_tries_at_once_are_counted_one_by_one(house, noon):
    results = await asyncio.gather(*(attempt(house, password=f"wrong {n}", at=noon) for n in range(30)))
    looked_at = [one for one in results if one.locked is None]
    assert len(looked_at) == 5


async def test_the_browsers_old_session_dies_with_the_new_login(house, noon):
    first = await attempt(house, at=noon)
    second = await attempt(house, at=noon, door=Door("203.0.113.5", "test", old_token=first.token))
    limits = sessions.Limits.of(SETTINGS)
    async with house.reading() as db:
        assert await sessions.recognise(db, first.token, limits=limits, at=noon) is None
        assert (await sessions.recognise(db, second.token, limits=limits, at=noon)).person.name == "ines"
    assert first.token != second.token


async def test_every_try_is_in_the_audit_without_its_password(house, noon):
    await attempt(house, password="my secret", at=noon)
    await attempt(house, "intruder", "another secret", at=noon)
    await attempt(house, at=noon)
    async with house.reading() as db:
        rows = (await db.scalars(select(AuditRow).where(AuditRow.subject_id != "").order_by(AuditRow.id))).all()
    tries = [(row.act, row.actor_name, row.address) for row in rows if row.act.startswith("sign")]
    assert tries == [
        ("sign_in_failed", "ines", "203.0.113.5"),
        ("sign_in_failed", "intruder", "203.0.113.5"),
        ("signed_in", "ines", "203.0.113.5"),
    ]
    assert not any("secret" in str(vars(row)) for row in rows)


async def test_a_dated_hash_is_renewed_on_the_way_in(house, noon, monkeypatch):
    async with house.reading() as db:
        before = await db.scalar(select(UserRow.password_hash).where(UserRow.name == "ines"))
    monkeypatch.setattr(passwords, "is_dated", lambda stored: True)
    assert isinstance(await attempt(house, at=noon), SignedIn)
    async with house.reading() as db:
        after = await db.scalar(select(UserRow.password_hash).where(UserRow.name == "ines"))
    assert before != after
    assert await passwords.verified(after, PASSWORD)


async def test_old_attempts_are_forgotten(house, noon):
    await attempt(house, password="wrong", at=noon)
    await attempt(house, at=noon + dt.timedelta(hours=25))
    async with house.reading() as db:
        assert len((await db.scalars(select(LoginAttemptRow))).all()) == 1
