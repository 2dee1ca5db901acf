"""How long the sources keep what open cases still need."""

from __future__ import annotations

import msgspec

from app.times import UnixNanos


class OpenCase(msgspec.Struct, frozen=True):
    """A case that is not closed: its name, since when it is open, and the traces it names without a preserved copy."""

    name: str
    opened_ns: UnixNanos
    unpreserved: tuple[str, ...] = ()
