"""The built wheel, installed into an environment of its own: what a person gets from `pip install`.

The libraries are those of this environment, put on the new one's path; only Clew itself is installed, from the wheel.
"""

import re
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import httpx2 as httpx
import pytest
from support import command

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str | Path, cwd: Path) -> None:
    done = subprocess.run([str(one) for one in arguments], cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out, cwd=ROOT)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The folder of programs of a new environment with Clew in it."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet", wheel, cwd=folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    # A plain path: the editable copy of Clew that may stand there is not switched on by it.
    (packages / "libraries.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return folder / "bin"


def contents(wheel: Path) -> set[str]:
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def test_it_holds_what_the_pages_and_migrations_need(wheel):
    found = contents(wheel)
    tracked = subprocess.run(
        ["git", "ls-files", "templates", "static", "alembic"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(tracked) > 40
    assert {f"app/_data/{name}" for name in tracked} <= found


def test_it_holds_nothing_else(wheel):
    stray = [
        name
        for name in contents(wheel)
        if not re.fullmatch(r"app/[\w./-]+\.(py|yaml|yml|html|css|js|svg|txt|md|mako)|.*/SHA256SUMS", name)
    ]
    assert stray == []


def test_its_metadata_has_no_address_of_a_registry(wheel):
    archive = zipfile.ZipFile(wheel)
    (name,) = [one for one in archive.namelist() if one.endswith("METADATA")]
    head = archive.read(name).decode().split("\n\n")[0]
    assert "License-Expression: Apache-2.0" in head
    assert "file://" not in head


def test_the_command_runs_from_it(installed, tmp_path):
    shown = command.run("--help", folder=tmp_path, program=[str(installed / "clew")])
    assert shown.returncode == 0, shown.stderr
    assert "Usage: clew [OPTIONS] COMMAND [ARGS]..." in shown.stdout
    where = subprocess.run(
        [str(installed / "python"), "-c", "import app; print(app.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.startswith(str(installed.parent))


def test_the_server_starts_from_it_with_pages_styles_and_a_migrated_database(installed, tmp_path):
    with command.serving(tmp_path, program=[str(installed / "clew")]) as (address, _):
        page = httpx.get(address + "/login", trust_env=False).text
        assert "Nobody can sign in yet." in page
        for href in re.findall(r'(?:href|src)="(/static/[^"]+)"', page):
            assert httpx.get(address + href, trust_env=False).status_code == 200, href
    current = command.run("db", "current", folder=tmp_path, program=[str(installed / "clew")])
    assert current.stdout.endswith("\tneeds nothing\n")
