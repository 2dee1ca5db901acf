"""Where the folders beside the package are: inside the wheel, or at the top of a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """`templates`, `static`, `alembic`, `docs` or `deploy/prometheus`. A checkout's own folder wins: an editable install
    carries a stale copy.

    Errors: FileNotFoundError names the folder: the installation is broken.
    """
    for place in (_PACKAGE.parent / name, _PACKAGE / "_data" / name):
        # A folder called `static` beside site-packages/app is somebody else's; ours has its marker file in it.
        if (place / _MARKERS[name]).exists():
            return place
    raise FileNotFoundError(f"Clew's folder {name!r} is missing from this installation")


_MARKERS = {"templates": "base.html", "static": "css/tokens.css", "alembic": "env.py",
            "deploy/prometheus": "auth.rules.yml", "docs": "runbooks.md"}  # fmt: skip
