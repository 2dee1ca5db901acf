"""The deployment files as their readers see them: the program of manifests/main.go, and a copy with fresh secrets."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from kit.building import CACHE, GO, ROOT, alone
from support.parts import require

SOURCE = Path(__file__).parent / "manifests"
DEPLOY = ROOT / "deploy"


def judge() -> Path:
    """The program of manifests/main.go, built once into the cache."""
    go = require("go", "golang; this needs Go 1.25 or newer")
    known = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(SOURCE.iterdir()))).hexdigest()
    program = CACHE / f"manifests-{known[:12]}"
    with alone("manifests"):
        if not program.exists():
            command = [go, "build", "-trimpath", "-o", program, "."]
            done = subprocess.run(command, cwd=SOURCE, env={**os.environ, **GO}, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr[-3000:]
    return program


def copied(folder: Path) -> Path:
    """A copy of deploy/ with fresh secrets, as somebody has it who followed the documentation."""
    made = folder / "deploy"
    shutil.copytree(DEPLOY, made, ignore=shutil.ignore_patterns("secrets", ".env"))
    subprocess.run([made / "new-secrets"], check=True, capture_output=True)
    return made


def ask(program: Path, kind: str, *files: Path) -> subprocess.CompletedProcess[str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("CLEW_", "COMPOSE_"))}
    return subprocess.run([program, kind, *files], env=bare, capture_output=True, text=True, check=False)


def project(program: Path, *files: Path) -> dict[str, Any]:
    """What Compose makes of the files."""
    done = ask(program, "compose", *files)
    assert done.returncode == 0, done.stderr
    loaded: dict[str, Any] = json.loads(done.stdout)
    return loaded
