"""Takes this machine out of a recording: its paths, names and process numbers, and nothing else."""

from __future__ import annotations

import getpass
import re
import socket
import sys
from pathlib import Path
from typing import Any

# Attributes that say where a service ran and nothing about what it did.
FIXED = {
    "host.id": {"stringValue": "0" * 32},
    "host.name": {"stringValue": "host"},
    "os.version": {"stringValue": "6.1.0"},
    "process.executable.path": {"stringValue": "/usr/local/bin/node"},
    "process.owner": {"stringValue": "app"},
    "process.pid": {"intValue": "1"},
}
_PYTHON = f"{sys.base_prefix}/lib/python"
_PRIVATE = re.compile(r"(?<![\w.])/(?:work|root|tmp|home|build|usr/lib/postgresql)/[^\s\"':)]*")


def neutral(document: Any, roots: list[Path]) -> Any:
    """The document with every path below one of the roots told from `/srv/app`, and the attributes of `FIXED` fixed.

    Errors: ValueError where something of this machine is left.
    """
    made = _walk(document, sorted((str(root) for root in roots), key=len, reverse=True))
    _check(made)
    return made


def _walk(value: Any, roots: list[str]) -> Any:
    if isinstance(value, str):
        for root in roots:
            value = value.replace(root, "/srv/app")
        return value.replace(_PYTHON, "/usr/local/lib/python")
    if isinstance(value, list):
        return [_walk(one, roots) for one in value]
    if isinstance(value, dict):
        if value.get("key") in FIXED:
            return {"key": value["key"], "value": FIXED[value["key"]]}
        return {key: _walk(one, roots) for key, one in value.items()}
    return value


def _check(value: Any) -> None:
    if isinstance(value, str):
        name = socket.gethostname()
        if _PRIVATE.search(value) or (len(name) > 3 and name in value) or value == getpass.getuser():
            raise ValueError(f"A recording still speaks of this machine: {value[:200]!r}")
    elif isinstance(value, list):
        for one in value:
            _check(one)
    elif isinstance(value, dict):
        for one in value.values():
            _check(one)
