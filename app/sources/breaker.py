"""When to stop asking a source that does not answer, and what is known about its health. Pure: handed the time."""

from __future__ import annotations

from app.sources.values import SourceHealth
from app.times import SECOND, UnixNanos

FAILURES = 5
PAUSE_NS = 30 * SECOND


class Breaker:
    """Opens after `FAILURES` in a row, for `PAUSE_NS`; then lets one request through to see."""

    def __init__(self) -> None:
        self.failures = 0
        self.first_failure_ns: UnixNanos | None = None
        self.open_until_ns: UnixNanos | None = None
        self._trying = False

    def admits(self, now: UnixNanos) -> bool:
        """May a request go out? Each True is followed by `succeeded`, `failed` or `abandoned`."""
        if self.open_until_ns is None:
            return True
        if now < self.open_until_ns or self._trying:
            return False
        self._trying = True
        return True

    def succeeded(self) -> None:
        self.failures = 0
        self.first_failure_ns = self.open_until_ns = None
        self._trying = False

    def failed(self, now: UnixNanos) -> None:
        self._trying = False
        self.failures += 1
        self.first_failure_ns = self.first_failure_ns or now
        if self.failures >= FAILURES:
            self.open_until_ns = UnixNanos(now + PAUSE_NS)

    def abandoned(self) -> None:
        """The request ended without saying anything about the source: the caller went away."""
        self._trying = False


class Health:
    """When a source last answered, and since when it does not."""

    def __init__(self, source: str, *, enabled: bool) -> None:
        self._source = source
        self._enabled = enabled
        self._last_success_ns: UnixNanos | None = None
        self._failing_since_ns: UnixNanos | None = None
        self._last_error = ""

    def answered(self, now: UnixNanos) -> None:
        self._last_success_ns = now
        self._failing_since_ns = None
        self._last_error = ""

    def failed(self, now: UnixNanos, sentence: str) -> None:
        self._failing_since_ns = self._failing_since_ns or now
        self._last_error = sentence

    def facts(self, paused_until_ns: UnixNanos | None = None) -> SourceHealth:
        return SourceHealth(
            source=self._source,
            enabled=self._enabled,
            last_success_ns=self._last_success_ns,
            failing_since_ns=self._failing_since_ns,
            last_error=self._last_error,
            paused_until_ns=paused_until_ns,
        )
