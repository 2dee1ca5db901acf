"""Two ways for time to pass in a script: as it does, or as fast as the services answer, with the schedule kept."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from app.times import SECOND, UnixNanos


class Pace(Protocol):
    def now_ns(self) -> UnixNanos:
        """The time by the script's own clock."""
        ...

    async def wait(self, seconds: float) -> None: ...

    def took(self, duration_ns: int) -> None:
        """A request has taken this long."""
        ...


class Live:
    """The wall clock."""

    def now_ns(self) -> UnixNanos:
        return UnixNanos(time.time_ns())

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def took(self, duration_ns: int) -> None:
        """The wall clock has moved by itself."""


class Scheduled:
    """A clock that starts at a given time and jumps over the waits: a script of an hour takes seconds to perform."""

    def __init__(self, start_ns: int) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> UnixNanos:
        return UnixNanos(self._now_ns)

    async def wait(self, seconds: float) -> None:
        self._now_ns += round(seconds * SECOND)

    def took(self, duration_ns: int) -> None:
        self._now_ns += duration_ns
