"""The shipped unit, read by systemd itself: every line known, and little left that a broken-in Clew could reach."""

import pwd
import re
import subprocess
from pathlib import Path

import pytest
from support.parts import require

SHIPPED = Path(__file__).resolve().parents[2] / "deploy" / "systemd"
# systemd's own scale goes from 0 to 10; a unit without any of this has 9.6. What is left is the network, which Clew needs.
MOST_EXPOSED = 1.5


@pytest.fixture
def unit(tmp_path) -> Path:
    """With a program that is there: systemd looks for it."""
    text = (SHIPPED / "clew.service").read_text()
    file = tmp_path / "clew.service"
    file.write_text(text.replace("/opt/clew/bin/clew", "/usr/bin/env"))
    return file


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = require("systemd-analyze", "systemd")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_systemd_knows_every_line(unit):
    done = analyze("verify", unit)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_wrong_line_is_found(unit):
    unit.write_text(unit.read_text().replace("ProtectSystem=strict", "ProtectSystem=strickt"))
    assert "Failed to parse protect system value" in analyze("verify", unit).stderr


def test_little_is_exposed(unit):
    done = analyze("security", "--offline=true", "--no-pager", unit)
    found = re.search(r"Overall exposure level for clew\.service: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= MOST_EXPOSED, done.stdout


def test_its_user_is_made_by_systemd():
    program = require("systemd-sysusers", "systemd")
    file = SHIPPED / "clew.sysusers.conf"
    done = subprocess.run([program, "--dry-run", file], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    # On a machine that has the user already there is nothing to create.
    assert "Creating user 'clew'" in done.stdout + done.stderr or "clew" in {one.pw_name for one in pwd.getpwall()}
