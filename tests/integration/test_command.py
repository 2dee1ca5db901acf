"""The command line as people and supervisors use it."""

import contextlib
import json
import re
import signal
import socket
import sqlite3
import stat

import httpx2 as httpx
import pytest
from support import command

PASSWORD = "correct horse battery staple"


@contextlib.contextmanager
def signed_in(address: str, name: str):
    with httpx.Client(base_url=address, trust_env=False) as client:
        client.post("/login", data={"name": name, "password": PASSWORD})
        yield client


def test_help_names_every_command(tmp_path):
    shown = command.here("--help", folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    from app.cli.__main__ import COMMANDS

    for name in COMMANDS:
        assert re.search(rf"^  {name}\s", shown.stdout, re.MULTILINE), name
    assert list(tmp_path.iterdir()) == []


def test_version(tmp_path):
    import app

    assert command.run("--version", folder=tmp_path).stdout == f"clew {app.__version__}\n"


def test_from_nothing_to_somebody_signed_in(tmp_path):
    added = command.here(
        "user", "add", "Ines", "--role", "admin", "--display-name", "Ines Varga", "--password-stdin",
        folder=tmp_path, given=PASSWORD + "\n",
    )  # fmt: skip
    assert (added.returncode, added.stdout) == (0, "ines can sign in as admin.\n"), added.stderr
    assert stat.S_IMODE((tmp_path / "clew.db").stat().st_mode) == 0o600
    with command.serving(tmp_path) as (address, process):
        with signed_in(address, "ines") as client:
            me = client.get("/api/v1/me").json()
            assert (me["display_name"], me["role"]) == ("Ines Varga", "admin")
            # Somebody at the shell disables a person while the server runs: the session ends at once.
            command.here("user", "add", "root", "--role", "admin", "--password-stdin", folder=tmp_path, given=PASSWORD)
            assert command.here("user", "disable", "ines", folder=tmp_path).returncode == 0
            assert client.get("/api/v1/me").status_code == 401
        assert httpx.get(address + "/readyz", trust_env=False).text == "ok\n"
    # It closed what it had open and then let the signal end it, as a supervisor expects.
    assert process.returncode == -signal.SIGTERM
    assert not (tmp_path / "clew.db-wal").exists()
    log = (tmp_path / "serve.log").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert {"POST /login 303", "GET /api/v1/me 200", "GET /api/v1/me 401"} <= {
        f"{line.get('method')} {line.get('path')} {line.get('status')}" for line in lines
    }
    assert PASSWORD not in log
    assert "clew=" not in log


def test_looking_after_people(tmp_path):
    for name, role in (("root", "admin"), ("jun", "viewer")):
        command.here("user", "add", name, "--role", role, "--password-stdin", folder=tmp_path, given=PASSWORD)
    assert command.here("user", "role", "jun", "analyst", folder=tmp_path).stdout == "jun is analyst.\n"
    assert command.here("user", "disable", "jun", folder=tmp_path).stdout == "jun is disabled.\n"
    listed = command.here("user", "list", folder=tmp_path).stdout.splitlines()
    assert re.fullmatch(r"jun\tanalyst\tdisabled [\d-]+ [\d:]+ UTC\tjun", listed[0])
    assert listed[1] == "root\tadmin\tactive\troot"
    assert command.here("user", "enable", "jun", folder=tmp_path).returncode == 0
    new = command.here("user", "password", "jun", "--password-stdin", folder=tmp_path, given="another long password")
    assert new.stdout == "jun has a new password.\n"


@pytest.mark.parametrize(
    ("arguments", "given", "sentence"),
    [
        (("user", "add", "ines", "--password-stdin"), "short", "A password needs at least 12 characters."),
        (("user", "add", "a b", "--password-stdin"), PASSWORD, "A name begins with a letter or digit"),
        (("user", "disable", "nobody"), "", "There is no user nobody."),
    ],
)
def test_a_mistake_is_one_sentence_and_code_2(tmp_path, arguments, given, sentence):
    failed = command.here(*arguments, folder=tmp_path, given=given)
    assert failed.returncode == 2
    assert failed.stderr.startswith(sentence)
    assert failed.stderr.count("\n") == 1
    assert failed.stdout == ""


def test_the_only_admin_cannot_be_disabled(tmp_path):
    command.here("user", "add", "root", "--role", "admin", "--password-stdin", folder=tmp_path, given=PASSWORD)
    failed = command.here("user", "disable", "root", folder=tmp_path)
    assert (failed.returncode, failed.stderr) == (2, "root is the only admin. Make somebody else admin first.\n")


def test_the_schema_by_command(tmp_path):
    from app.db import migrate

    needs = migrate.newest()
    assert command.here("db", "current", folder=tmp_path).stdout == f"empty\tneeds {needs}\n"
    listed = command.here("user", "list", folder=tmp_path)
    assert (listed.returncode, "Run: clew db upgrade" in listed.stderr) == (2, True)
    assert command.here("db", "upgrade", folder=tmp_path).stdout == f"From an empty database to {needs}.\n"
    assert command.here("db", "upgrade", folder=tmp_path).stdout == f"Already at {needs}.\n"
    assert command.here("db", "current", folder=tmp_path).stdout == f"{needs}\tneeds nothing\n"


def test_a_taken_port_is_a_sentence(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        failed = command.run("serve", "--port", str(port), folder=tmp_path)
    assert failed.returncode == 2
    assert f"cannot listen on 127.0.0.1, port {port}: Address already in use. Choose another" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_settings_that_cannot_be_used_name_the_variable_and_keep_the_value_back(tmp_path):
    failed = command.here("serve", folder=tmp_path, CLEW_TEMPO__URL="ftp://user:hunter2@tempo", CLEW_WEB__PORT="many")
    assert failed.returncode == 2
    assert "CLEW_TEMPO__URL: " in failed.stderr
    assert "CLEW_WEB__PORT: " in failed.stderr
    assert "hunter2" not in failed.stderr


@pytest.mark.parametrize("damage", ["garbage", "newer", "folder", "unreachable"])
def test_a_database_that_cannot_be_used_stops_the_server_with_a_sentence(tmp_path, damage):
    settings = {}
    file = tmp_path / "clew.db"
    if damage == "garbage":
        file.write_bytes(b"this is not a database, and never was one" * 100)
    elif damage == "newer":
        command.here("db", "upgrade", folder=tmp_path)
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.close()
    elif damage == "folder":
        file.mkdir()
    else:
        settings["CLEW_DATABASE__URL"] = f"postgresql://clew:hunter2@/clew?host={tmp_path}"
    failed = command.run("serve", folder=tmp_path, **settings)
    assert failed.returncode == 2
    assert failed.stderr.count("\n") == 1, failed.stderr
    assert failed.stderr.startswith(
        ("The database cannot be used: ", "The database was written by a newer", "The database file")
    )
    assert "hunter2" not in failed.stderr


def test_explain_does_not_wait_for_the_web(tmp_path):
    """Only the module that is asked for is imported, and none of them brings a web framework with it."""
    import subprocess
    import sys

    program = (
        "import sys; from app.cli.__main__ import build, COMMANDS;"
        "build(['--help']); print([m for m in ('fastapi', 'sqlalchemy', 'alembic', 'uvicorn', 'jinja2') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert shown.stdout == "[]\n", shown.stdout + shown.stderr
