"""Every migration up, down and up again, on both databases, with rows in the tables."""

import importlib
from pathlib import Path

import pytest
from sqlalchemy import MetaData, PrimaryKeyConstraint, text

import app
from app import times
from app.db import migrate
from app.db.base import Base
from app.db.session import Database
from app.errors import InvalidInput
from app.security import accounts, store
from app.security.roles import COMMAND_LINE, Role
from app.settings import DatabaseSettings

for tables in Path(app.__file__).parent.glob("*/tables.py"):
    importlib.import_module(f"app.{tables.parent.name}.tables")


def revisions() -> list[str]:
    """From the first to the newest; a chain with two ends has no single one."""
    from alembic.script import ScriptDirectory

    return [script.revision for script in ScriptDirectory.from_config(migrate._config()).walk_revisions()][::-1]


async def differences(database: Database) -> list:
    """What alembic would still change to make the database what the models say."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    def compare(connection):
        options = {"compare_type": True, "compare_server_default": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)

    async with database.engine.connect() as connection:
        return await connection.run_sync(compare)


async def test_the_migrations_build_what_the_models_say(database_url):
    settings = DatabaseSettings(url=database_url)
    await migrate.upgrade(settings)
    database = Database(settings)
    try:
        assert await differences(database) == []
    finally:
        await database.close()
    assert await migrate.current(settings) == migrate.newest() == revisions()[-1]


async def test_constraints_have_the_names_of_the_convention(database_url):
    """A downgrade drops them by name, so what a migration wrote by hand must be what the models' convention makes."""
    settings = DatabaseSettings(url=database_url)
    await migrate.upgrade(settings)
    database = Database(settings)
    found = MetaData()
    try:
        async with database.engine.connect() as connection:
            await connection.run_sync(found.reflect)
    finally:
        await database.close()
    is_sqlite = database_url.startswith("sqlite")
    for name, table in Base.metadata.tables.items():
        built = {one.name for one in found.tables[name].constraints}
        # SQLite writes the key of an AUTOINCREMENT into its column, without a name, and never drops it alone.
        wanted = {one.name for one in table.constraints if not (is_sqlite and isinstance(one, PrimaryKeyConstraint))}
        assert wanted <= built, name


async def test_each_step_up_and_down_and_up_again(database_url):
    settings = DatabaseSettings(url=database_url)
    steps = revisions()
    for revision in steps:
        await migrate.upgrade(settings, revision)
        assert await migrate.current(settings) == revision
        await migrate.downgrade(settings, "-1")
        await migrate.upgrade(settings, revision)
        assert await migrate.current(settings) == revision
    await migrate.downgrade(settings, "base")
    assert await migrate.current(settings) is None
    database = Database(settings)
    left = MetaData()
    try:
        async with database.engine.connect() as connection:
            await connection.run_sync(left.reflect)
    finally:
        await database.close()
    assert set(left.tables) == {"alembic_version"}


async def test_rows_survive_the_later_migrations_down_and_up(database_url):
    settings = DatabaseSettings(url=database_url)
    await migrate.upgrade(settings)
    database = Database(settings)
    try:
        async with database.writing() as db:
            await accounts.add(db, "ines", "correct horse battery", Role.ADMIN, by=COMMAND_LINE, at=times.utc_now())
        await migrate.downgrade(settings, "0001")
        await migrate.upgrade(settings)
        async with database.reading() as db:
            assert [row.name for row in await store.all_users(db)] == ["ines"]
    finally:
        await database.close()


async def test_a_database_of_a_newer_clew_is_refused_and_left_alone(database_url):
    settings = DatabaseSettings(url=database_url, migrate_on_start=True)
    await migrate.upgrade(settings)
    database = Database(settings)
    try:
        async with database.writing() as db:
            await db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    finally:
        await database.close()
    for attempt in (migrate.prepare, migrate.upgrade, migrate.check):
        with pytest.raises(migrate.SchemaMismatch, match=r"written by a newer Clew: it is at revision 9999"):
            await attempt(settings)
    assert await migrate.current(settings) == "9999"


async def test_an_older_database_is_refused_with_the_command_where_it_may_not_be_changed(database_url):
    settings = DatabaseSettings(url=database_url, migrate_on_start=False)
    with pytest.raises(migrate.SchemaMismatch, match=r"The database is empty; .* Run: clew db upgrade"):
        await migrate.prepare(settings)
    await migrate.upgrade(settings, "0001")
    if migrate.newest() != "0001":
        with pytest.raises(migrate.SchemaMismatch, match=r"is at revision 0001; this Clew needs .* Run: clew db upgrade"):
            await migrate.prepare(settings)
    assert await migrate.current(settings) == "0001"


async def test_sqlite_is_brought_up_to_date_at_the_start_and_postgresql_is_not(database_url):
    settings = DatabaseSettings(url=database_url)
    if database_url.startswith("sqlite"):
        await migrate.prepare(settings)
        assert await migrate.current(settings) == migrate.newest()
    else:
        with pytest.raises(migrate.SchemaMismatch):
            await migrate.prepare(settings)


async def test_a_missing_driver_is_one_sentence(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(InvalidInput, match=r"^PostgreSQL needs the extra: pip install 'clew\[postgres\]'\.$"):
        await migrate.current(DatabaseSettings(url="postgresql://h/n"))
