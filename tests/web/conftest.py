from __future__ import annotations

import pytest
from support import site


@pytest.fixture
async def here(tmp_path):
    """The app with a fresh database."""
    async with site.open(tmp_path) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch):
    """Real argon2id at its lowest cost: pages are tested here, and tests/unit/security looks at the costs."""
    from argon2 import PasswordHasher

    from app.security import passwords

    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", cheap)
    monkeypatch.setattr(passwords, "_NOBODY", cheap.hash("nobody's"))
