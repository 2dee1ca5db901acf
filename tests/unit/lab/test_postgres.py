"""What a killed server has left is removed, and nothing else, whatever the note says."""

import tempfile
from pathlib import Path

from app.lab.postgres import PREFIX, remove_noted


def test_the_noted_folder_goes_with_its_note(tmp_path):
    left = Path(tempfile.mkdtemp(prefix=PREFIX))
    (left / "data").mkdir()
    note = tmp_path / "postgres.path"
    note.write_text(str(left))
    remove_noted(note)
    assert not left.exists()
    assert not note.exists()
    remove_noted(note)  # nothing noted, nothing to do


def test_a_note_that_names_anything_else_deletes_nothing(tmp_path):
    precious = tmp_path / "precious"
    named_alike = tmp_path / f"{PREFIX}thesis"
    for folder in (precious, named_alike):
        folder.mkdir()
        note = tmp_path / "postgres.path"
        note.write_text(str(folder))
        remove_noted(note)
        assert folder.exists()
