from __future__ import annotations

import pytest
from support import postgres


@pytest.fixture(scope="session")
def postgres_server():
    """Debian's PostgreSQL, started once."""
    with postgres.running() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """The settings URL of an empty database, once for each kind Clew runs on."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/clew.db"
    return request.getfixturevalue("postgres_server").fresh_url()
