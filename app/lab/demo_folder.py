"""The demo's folder on disk: claimed by one demo at a time, used again or cleared."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import msgspec

from app.errors import Conflict

MARKER = "clew-demo.json"


class DataFolder:
    """The demo's folder: one demo at a time, and never a folder that something else made."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock: int | None = None

    def open(self, *, fresh: bool) -> bool:
        """Claim the folder; whether it holds an earlier demo's data. What an interrupted first start left is removed.

        Errors: Conflict.
        """
        marker = self.path / MARKER
        if self.path.exists() and any(self.path.iterdir()) and not marker.exists():
            raise Conflict(f"{self.path} holds other things than a demo's data. Choose another folder with --data.")
        self.path.mkdir(parents=True, exist_ok=True)
        marker.touch()
        self._lock = os.open(marker, os.O_RDWR)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            self._lock = None
            raise Conflict(f"A demo already runs from {self.path}. Choose another folder with --data.") from None
        if fresh or not self.complete:
            for inside in self.path.iterdir():
                if inside != marker:
                    shutil.rmtree(inside) if inside.is_dir() else inside.unlink()
            marker.write_bytes(b"")
        shutil.rmtree(self.logs, ignore_errors=True)
        return self.complete

    @property
    def complete(self) -> bool:
        """Whether the earlier incident is in."""
        return bool((self.path / MARKER).read_bytes())

    def mark_complete(self, seed: int) -> None:
        (self.path / MARKER).write_bytes(msgspec.json.encode({"seed": seed}))

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)

    @property
    def logs(self) -> Path:
        return self.path / "logs"
