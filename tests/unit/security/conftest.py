from __future__ import annotations

import datetime as dt

import pytest
from support import site

NOON = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)


@pytest.fixture
async def database(tmp_path):
    """An open database at the newest schema, with nobody in it."""
    async with site.open(tmp_path) as here:
        yield here.database


@pytest.fixture
def noon():
    return NOON


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch, request):
    """Real argon2id at its lowest cost: what is tested here is when it is asked, not how slow it is."""
    if request.module.__name__.endswith("test_passwords"):
        return
    from argon2 import PasswordHasher

    from app.security import passwords

    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", cheap)
    monkeypatch.setattr(passwords, "_NOBODY", cheap.hash("nobody's"))
