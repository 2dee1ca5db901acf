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


@pytest.fixture(scope="session")
def migrated():
    """URLs of databases at the newest schema, by kind; filled by the first test that needs one, copied for each."""
    return {}


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request, tmp_path, migrated):
    """An empty database of each kind, with three people in it."""
    kind = request.param
    if kind == "sqlite":
        fresh = f"sqlite:///{request.getfixturevalue('sqlite_folder') / 'migrated.db'}"
    elif kind not in migrated:
        fresh = request.getfixturevalue("postgres_server").fresh_url()
    if kind not in migrated:
        await migrate.upgrade(load(database={"url": fresh}).database)
        migrated[kind] = fresh
    if kind == "sqlite":
        shutil.copy(migrated[kind].removeprefix("sqlite:///"), tmp_path / "clew.db")
        url = f"sqlite:///{tmp_path / 'clew.db'}"
    else:
        url = request.getfixturevalue("postgres_server").copy_url(migrated[kind])
    settings = load(database={"url": url}).database
    opened = Database(settings)
    async with opened.writing() as db:
        for person in (sample.INES, sample.JUN, sample.ADA):
            db.add(UserRow(id=person.id, name=person.name, display_name=person.display_name, role=person.role.value,
                           password_hash="-", created_at=sample.NOW))  # fmt: skip
    yield opened
    await opened.close()
