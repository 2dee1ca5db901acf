import hashlib
import re

import pytest

from app import paths
from app.web.assets import Assets

VENDOR = paths.folder("static") / "vendor"


def test_one_changed_byte_changes_every_address(tmp_path):
    (tmp_path / "js").mkdir()
    (tmp_path / "js" / "app.js").write_text("one")
    (tmp_path / "a.css").write_text("two")
    before = Assets(tmp_path)
    assert before.url("js/app.js") == f"/static/{before.version}/js/app.js"
    assert Assets(tmp_path).version == before.version
    (tmp_path / "js" / "app.js").write_text("One")
    assert Assets(tmp_path).version != before.version


def test_a_file_that_does_not_exist_is_never_linked(tmp_path):
    with pytest.raises(LookupError, match="js/missing"):
        Assets(tmp_path).url("js/missing.js")


def test_vendored_files_are_the_ones_that_were_looked_at():
    listed = dict(reversed(line.split("  ")) for line in (VENDOR / "SHA256SUMS").read_text().splitlines())
    found = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in VENDOR.iterdir()
        if file.name not in ("SHA256SUMS", "README.md")
    }
    assert found == listed


def test_every_vendored_library_has_its_version_and_licence():
    readme = (VENDOR / "README.md").read_text()
    libraries = [file.name for file in VENDOR.iterdir() if file.suffix in (".js", ".css")]
    assert libraries
    for name in libraries:
        assert re.search(r"-\d+\.\d+\.\d+\.", name), name
        assert f"`{name}`" in readme
        assert (VENDOR / f"{name.split('-')[0]}-LICENSE.txt").stat().st_size > 200


def test_nothing_of_ours_asks_another_host():
    folder = paths.folder("static")
    ours = [file for file in folder.rglob("*") if file.suffix in (".css", ".js", ".svg") and "vendor" not in file.parts]
    for file in ours:
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text, file
        assert "https://" not in text, file
        assert "@import" not in text, file
