"""Where the kit's proofs keep what they build, and how two of them do not build the same at once."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "kit"
# Modules and build results of Go; -modcacherw, so that `make clean` may remove them.
GO = {"GOPATH": str(CACHE / "go"), "GOCACHE": str(CACHE / "gocache"), "GOFLAGS": "-modcacherw"}


@contextmanager
def alone(what: str) -> Iterator[None]:
    """Nobody else builds `what` meanwhile; who waited for that finds it built."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f".{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
