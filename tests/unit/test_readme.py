"""The README shows what the program says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"```console\n\$ clew (.+)\n((?:.*\n)*?)```", README)


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_a_command_says_what_the_readme_shows(command, output):
    done = subprocess.run([sys.executable, "-m", "app.cli", *command.split()], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, output)


def test_some_are_shown():
    assert SHOWN


def test_links_and_pictures_lead_to_files_that_exist():
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target
