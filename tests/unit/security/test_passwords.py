import pytest
from argon2 import PasswordHasher

from app.errors import InvalidInput
from app.security import passwords

CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


@pytest.fixture
def cheap(monkeypatch):
    monkeypatch.setattr(passwords, "_hasher", CHEAP)
    monkeypatch.setattr(passwords, "_NOBODY", CHEAP.hash("nobody's"))


@pytest.mark.usefixtures("cheap")
async def test_only_the_password_itself_is_right():
    stored = await passwords.hashed("correct horse battery staple")
    assert await passwords.verified(stored, "correct horse battery staple")
    for wrong in ("correct horse battery stapl", "Correct horse battery staple", "", "x" * 100_000):
        assert not await passwords.verified(stored, wrong)


async def test_hashes_are_argon2id_with_the_costs_of_today():
    stored = await passwords.hashed("correct horse battery staple")
    assert stored.startswith("$argon2id$")
    assert not passwords.is_dated(stored)
    assert stored != await passwords.hashed("correct horse battery staple")


async def test_an_unknown_name_costs_a_real_verification_and_is_never_right(monkeypatch):
    seen = []
    monkeypatch.setattr(passwords, "_verify", lambda stored, password: seen.append(stored) or True)
    assert not await passwords.verified(None, "anything")
    assert seen == [passwords._NOBODY]
    # The decoy has the costs of a real hash: else the time would tell.
    assert not passwords.is_dated(passwords._NOBODY)


def test_a_hash_with_lower_costs_is_dated():
    assert passwords.is_dated(CHEAP.hash("correct horse battery staple"))
    assert passwords.is_dated("not a hash")


async def test_a_damaged_hash_lets_nobody_in():
    assert not await passwords.verified("$argon2id$damaged", "anything")


@pytest.mark.parametrize("password", ["short", "x" * 257, ""])
async def test_too_short_and_too_long_are_refused(password):
    with pytest.raises(InvalidInput) as caught:
        await passwords.hashed(password)
    assert caught.value.field == "password"
