"""Finds the toolchains that `make toolchains` put into the cache, before those of the machine."""

from __future__ import annotations

import os
from pathlib import Path

TOOLCHAINS = Path(__file__).parents[2] / ".cache" / "toolchains" / "bin"
os.environ["PATH"] = os.pathsep.join([str(TOOLCHAINS), os.environ.get("PATH", "")])
