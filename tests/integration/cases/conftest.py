from __future__ import annotations

import shutil

import pytest
from support import case_samples as sample
from support import postgres

from app.db import migrate
from app.db.session import Database
from app.security.tables import UserRow
from app.settings import load


@pytest.fixture(scope="session")
def sqlite_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cases")


@pytest.fixture(scope="session")
def postgres_server():
    with postgres.running() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request, tmp_path):
    """An empty database of each kind, with three people in it."""
    if request.param == "sqlite":
        # At the newest schema once, then copied for each test: migrations have tests of their own.
        migrated = request.getfixturevalue("sqlite_folder") / "migrated.db"
        if not migrated.exists():
            await migrate.upgrade(load(database={"url": f"sqlite:///{migrated}"}).database)
        shutil.copy(migrated, tmp_path / "clew.db")
        settings = load(database={"url": f"sqlite:///{tmp_path / 'clew.db'}"}).database
    else:
        settings = load(database={"url": request.getfixturevalue("postgres_server").fresh_url()}).database
        await migrate.upgrade(settings)
    opened = Database(settings)
    async with opened.writing() as db:
        for person in (sample.INES, sample.JUN, sample.ADA):
            db.add(UserRow(id=person.id, name=person.name, display_name=person.display_name, role=person.role.value,
                           password_hash="-", created_at=sample.NOW))  # fmt: skip
    yield opened
    await opened.close()
