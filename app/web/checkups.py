"""The doctor's reports as the pages share them: one check at a time for each window, its report kept for some minutes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from app.doctor.report import Report
from app.times import MINUTE, SECOND, Nanos, UnixNanos, now_ns

KEPT = 10 * MINUTE
# Asking again sooner gives the report that is there: a check costs the sources some hundred requests.
SOONEST = 10 * SECOND

WINDOWS: Mapping[str, Nanos] = {"1h": Nanos(60 * MINUTE), "6h": Nanos(360 * MINUTE), "24h": Nanos(1440 * MINUTE)}

Examine: TypeAlias = Callable[[Nanos], Awaitable[Report]]


class Checkups:
    """One per process; close it. A window is a key of WINDOWS. `examine` is given the length of the window."""

    def __init__(self, examine: Examine, clock: Callable[[], UnixNanos] = now_ns) -> None:
        self._examine = examine
        self._clock = clock
        self._kept: dict[str, Report] = {}
        self._running: dict[str, asyncio.Task[Report]] = {}

    def last(self) -> Report | None:
        """The newest report that is kept, of any window; None where there is none. Starts nothing."""
        found = [report for window in WINDOWS if (report := self.kept(window)) is not None]
        return max(found, key=lambda report: report.checked_ns, default=None)

    def kept(self, window: str) -> Report | None:
        """The report of that window, unless it is too old to act on. Starts nothing."""
        report = self._kept.get(window)
        return report if report is not None and self._clock() - report.checked_ns < KEPT else None

    def is_running(self, window: str) -> bool:
        return window in self._running

    def start(self, window: str) -> None:
        """Begin a check that nobody waits for, unless one is under way or was made just now."""
        report = self.kept(window)
        if report is None or self._clock() - report.checked_ns >= SOONEST:
            self._task(window)

    async def report(self, window: str, *, within_s: float) -> Report | None:
        """The kept report, else that of the check that is under way or begun now; None where it takes longer.

        A check goes on when its asker is gone, so that the next one finds its report.
        Errors: whatever the check met that it has no finding for.
        """
        if not self.is_running(window) and (report := self.kept(window)) is not None:
            return report
        try:
            return await asyncio.wait_for(asyncio.shield(self._task(window)), within_s)
        except TimeoutError:
            return None

    async def close(self) -> None:
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _task(self, window: str) -> asyncio.Task[Report]:
        task = self._running.get(window)
        if task is None:
            task = asyncio.create_task(self._check(window), name=f"checkup-{window}")
            self._running[window] = task
            task.add_done_callback(lambda done: self._ended(window, done))
        return task

    async def _check(self, window: str) -> Report:
        report = await self._examine(WINDOWS[window])
        self._kept[window] = report
        return report

    def _ended(self, window: str, task: asyncio.Task[Report]) -> None:
        self._running.pop(window, None)
        if not task.cancelled():
            task.exception()  # asked for, so that one nobody waited for is not reported at the task's end
