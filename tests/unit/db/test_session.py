import asyncio
import stat

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app.db.session import Database, connection_url, driver_url
from app.errors import InvalidInput
from app.settings import DatabaseSettings


@pytest.fixture
async def database(tmp_path):
    opened = Database(DatabaseSettings(url=f"sqlite:///{tmp_path}/clew.db"))
    async with opened.writing() as db:
        await db.execute(text("CREATE TABLE note (words TEXT NOT NULL)"))
    yield opened
    await opened.close()


async def notes(database: Database) -> list[str]:
    async with database.reading() as db:
        return list(await db.scalars(text("SELECT words FROM note ORDER BY rowid")))


async def write(db, words: str) -> None:
    await db.execute(text("INSERT INTO note VALUES (:words)"), {"words": words})


async def lose(database: Database) -> None:
    async with database.writing() as db:
        await write(db, "lost")
        await db.execute(text("SELECT * FROM missing"))


async def test_what_a_block_wrote_is_there_after_it(database):
    async with database.writing() as db:
        await write(db, "kept")
        assert await notes(database) == []
    assert await notes(database) == ["kept"]


async def test_a_block_that_fails_leaves_nothing(database):
    with pytest.raises(OperationalError, match="no such table"):
        await lose(database)
    assert await notes(database) == []


async def test_a_reader_cannot_write(database):
    with pytest.raises(OperationalError, match="readonly"):
        async with database.reading() as db:
            await write(db, "no")


async def test_a_reader_sees_one_state_while_others_write(database):
    async with database.reading() as reader:
        before = await reader.scalar(text("SELECT count(*) FROM note"))
        async with database.writing() as db:
            await write(db, "meanwhile")
        assert await reader.scalar(text("SELECT count(*) FROM note")) == before == 0


async def test_thirty_writers_never_meet_a_locked_database(database):
    async def writer() -> None:
        for _ in range(10):
            async with database.writing() as db:
                count = await db.scalar(text("SELECT count(*) FROM note"))
                await write(db, f"{count}")

    await asyncio.gather(*(writer() for _ in range(30)))
    # Each read the count and wrote it in one transaction: a gap or a repeat would mean that two overlapped.
    assert await notes(database) == [str(n) for n in range(300)]


async def test_two_processes_worth_of_engines_wait_for_each_other(database, tmp_path):
    other = Database(DatabaseSettings(url=f"sqlite:///{tmp_path}/clew.db"))
    try:

        async def writer(one: Database) -> None:
            for _ in range(20):
                async with one.writing() as db:
                    count = await db.scalar(text("SELECT count(*) FROM note"))
                    await write(db, f"{count}")

        await asyncio.gather(writer(database), writer(other), writer(database), writer(other))
    finally:
        await other.close()
    assert await notes(database) == [str(n) for n in range(80)]


async def test_commits_are_durable_and_references_hold(database):
    async with database.writing() as db:
        assert (await db.execute(text("PRAGMA synchronous"))).scalar() == 2
        assert (await db.execute(text("PRAGMA foreign_keys"))).scalar() == 1
        assert (await db.execute(text("PRAGMA journal_mode"))).scalar() == "wal"


async def test_the_file_is_its_owners_alone(database, tmp_path):
    for file in tmp_path.glob("clew.db*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "cannot be read"),
        ("mysql://u:hunter2@h/n", "not in mysql"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("postgresql://u:hunter2@h:port/n", "cannot be read"),
    ],
)
def test_a_wrong_url_is_said_without_repeating_its_password(url, words):
    with pytest.raises(InvalidInput, match=words) as caught:
        driver_url(url)
    assert "hunter2" not in str(caught.value)


def test_a_folder_that_does_not_exist_is_a_sentence(tmp_path):
    with pytest.raises(InvalidInput, match="cannot be opened: No such file"):
        Database(DatabaseSettings(url=f"sqlite:///{tmp_path}/missing/clew.db"))


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("postgresql://clew@h/n", "apart"),
        ("postgresql://clew:within@h/n", "within"),
        ("sqlite:///clew.db", None),
    ],
)
def test_a_password_kept_apart_is_used_where_the_url_has_none(url, password):
    settings = DatabaseSettings.model_validate({"url": url, "password": "apart"})
    assert connection_url(settings).password == password
