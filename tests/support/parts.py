"""Programs of the distribution that tests run for real."""

from __future__ import annotations

import os
import shutil

import pytest


def require(program: str, package: str) -> str:
    """The path of a program; without it the test is skipped, and fails where CI says that nothing may be missing."""
    path = shutil.which(program)
    if path:
        return path
    reason = f"{program} is not installed (Debian: apt-get install {package})"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
