"""What was measured, before anything is concluded from it. What could not be had is `Missing`, with the reason."""

from __future__ import annotations

import msgspec

from app.doctor.report import Connection, SampleSize
from app.times import UnixNanos


class Missing(msgspec.Struct, frozen=True):
    """A fact that could not be had: why, as a sentence."""

    why: str


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, over one window."""

    start_ns: UnixNanos
    end_ns: UnixNanos
    connections: tuple[Connection, ...]
    sample: SampleSize

    def connection(self, source: str) -> Connection:
        return next(connection for connection in self.connections if connection.source == source)
