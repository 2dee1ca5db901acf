import sqlite3
import stat
from contextlib import closing

import pytest

from app.db import backup, migrate
from app.errors import Conflict, InvalidInput
from app.settings import DatabaseSettings


@pytest.fixture
def settings(tmp_path) -> DatabaseSettings:
    """A small database at the newest revision: a copy does not look further than that."""
    with closing(sqlite3.connect(tmp_path / "clew.db")) as database:
        database.executescript(f"""
            PRAGMA journal_mode = WAL;
            CREATE TABLE alembic_version (version_num TEXT NOT NULL);
            INSERT INTO alembic_version VALUES ('{migrate.newest()}');
            CREATE TABLE note (words TEXT);
            INSERT INTO note VALUES ('first');
        """)
    return DatabaseSettings(url=f"sqlite:///{tmp_path}/clew.db")


def words(file) -> list[str]:
    with closing(sqlite3.connect(file)) as database:
        return [row[0] for row in database.execute("SELECT words FROM note ORDER BY rowid")]


def test_a_copy_is_one_private_file_with_what_was_committed(settings, tmp_path):
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(tmp_path / "clew.db", isolation_level=None)) as writer:
        writer.execute("INSERT INTO note VALUES ('second')")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO note VALUES ('never')")
        assert backup.write(settings, copy) == migrate.newest()
        writer.execute("ROLLBACK")
    assert words(copy) == ["first", "second"]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert sorted(file.name for file in tmp_path.iterdir()) == ["clew.db", "copy.db"]


def test_a_copy_takes_no_other_files_place(settings, tmp_path):
    copy = tmp_path / "copy.db"
    copy.write_text("another")
    with pytest.raises(Conflict, match="is there already"):
        backup.write(settings, copy)
    assert copy.read_text() == "another"


def test_there_must_be_something_to_copy_and_room_for_it(settings, tmp_path):
    with pytest.raises(InvalidInput, match=r"There is no database at .*none\.db"):
        backup.write(DatabaseSettings(url=f"sqlite:///{tmp_path}/none.db"), tmp_path / "copy.db")
    assert not (tmp_path / "none.db").exists()
    with pytest.raises(InvalidInput, match="No such file or directory"):
        backup.write(settings, tmp_path / "nowhere" / "copy.db")


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (lambda file: file.write_bytes(b"no database at all " * 60), "cannot be restored: file is not a database"),
        (lambda file: file.write_bytes(file.read_bytes()[:-4096]), "is damaged|malformed"),
        (lambda file: sqlite3.connect(file).executescript("DROP TABLE alembic_version").close(), "is no database of Clew"),
        (lambda file: sqlite3.connect(file).executescript("DELETE FROM alembic_version").close(), "is no database of Clew"),
        (lambda file: file.unlink(), "There is no file"),
    ],
)
def test_what_is_no_whole_backup_is_not_restored(settings, tmp_path, made, why):
    copy = tmp_path / "copy.db"
    backup.write(settings, copy)
    made(copy)
    with pytest.raises(InvalidInput, match=why):
        backup.restore(settings, copy, replace=True)
    assert words(tmp_path / "clew.db") == ["first"]


def test_a_log_left_by_a_crash_does_not_creep_into_what_is_restored(settings, tmp_path):
    file, copy = tmp_path / "clew.db", tmp_path / "copy.db"
    backup.write(settings, copy)
    writer = sqlite3.connect(file, isolation_level=None)
    writer.execute("INSERT INTO note VALUES ('after')")
    crashed = {name: (tmp_path / name).read_bytes() for name in ("clew.db", "clew.db-wal")}
    writer.close()
    for name, content in crashed.items():
        (tmp_path / name).write_bytes(content)
    backup.restore(settings, copy, replace=True)
    assert words(file) == ["first"]


def test_a_database_in_use_is_not_replaced(settings, tmp_path):
    copy = tmp_path / "copy.db"
    backup.write(settings, copy)
    with closing(sqlite3.connect(tmp_path / "clew.db")) as reader:
        reader.execute("SELECT * FROM note").fetchall()
        with pytest.raises(Conflict, match=r"is in use\. Stop the server first\.$"):
            backup.restore(settings, copy, replace=True)
