"""Addresses of static files: one version in the path for all of them, so that a browser may keep them for ever.

    /static/3f2a9c81d0b7/js/app.js

The version is a digest over every file's name and bytes. It stands in the path and not in a query, so that one JavaScript
module importing another (`./theme.js`) stays within the version.
"""

from __future__ import annotations

import hashlib
from pathlib import Path


class Assets:
    """The static folder as this process found it when it started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        digest = hashlib.sha256()
        names = set()
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = file.relative_to(folder).as_posix()
            names.add(name)
            digest.update(name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
        self.names = frozenset(names)
        self.version = digest.hexdigest()[:12]

    def url(self, name: str) -> str:
        """The address of a file.

        Errors: LookupError for a name that is not there: a page must not link to nothing.
        """
        if name not in self.names:
            raise LookupError(f"static/{name} does not exist")
        return f"/static/{self.version}/{name}"
