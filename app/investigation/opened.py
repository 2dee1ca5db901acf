"""A trace opened: fetched, built, judged, and kept for a moment, because a page asks for its parts one after another.

Few and short: a trace of 100,000 spans is hundreds of megabytes, and a trace still being written must not be shown old.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any, TypeVar

from app.analysis.verdict import Verdict
from app.errors import SourceRefused
from app.sources.values import TraceBytes
from app.traces.model import Trace

T = TypeVar("T")

Fetch = Callable[[str], Awaitable[tuple[Trace, TraceBytes]]]
Judge = Callable[[Trace], Verdict]

_COLLECTED = 50_000  # spans forgotten, about a hundred megabytes, that are worth a collector's visit
_INLINE = 300  # spans that are judged sooner than a thread is handed the work


class Opened:
    """One trace with its bytes and its verdict. era: of the rules it was judged by, as OpenTraces counts them."""

    def __init__(self, trace: Trace, received: TraceBytes, verdict: Verdict, era: int = 0) -> None:
        self.trace = trace
        self.received = received
        self.verdict = verdict
        self.era = era
        self._derived: dict[str, Any] = {}

    @cached_property
    def sha256(self) -> str:
        """Of the bytes as received."""
        return hashlib.sha256(self.received.body).hexdigest()

    def derived(self, name: str, make: Callable[[], T]) -> T:
        """What a page works out from the trace, kept as long as the trace is."""
        if name not in self._derived:
            self._derived[name] = make()
        found: T = self._derived[name]
        return found


class OpenTraces:
    """Opens traces by id.

    fetch:      None where no Tempo is set up
    keep_s:     how long one is kept after it was fetched
    most_spans: kept at once, all traces together; the one just opened is always kept
    """

    def __init__(self, fetch: Fetch | None, judge: Judge, *, keep_s: float = 60, most_spans: int = 150_000) -> None:
        self._fetch = fetch
        self._judge = judge
        self._keep_s = keep_s
        self._most_spans = most_spans
        self._kept: dict[str, Opened] = {}
        self._under_way: dict[str, asyncio.Task[Opened]] = {}
        self._era = 0  # of the rules; a trace judged by those of an earlier one is not kept
        self._forgotten = 0  # spans, since the collector was last sent

    async def open(self, trace_id: str, *, fresh: bool = False) -> Opened:
        """The trace with its verdict; `fresh` asks the source again.

        Errors: NotFound, InvalidInput, SourceError as the source's client raises them.
        """
        kept = None if fresh else self._kept.get(trace_id)
        if kept is not None:
            return kept
        task = self._under_way.get(trace_id)
        if task is None:
            task = self._under_way[trace_id] = asyncio.create_task(self._open(trace_id))
            task.add_done_callback(lambda done: self._done(trace_id, done))
        # Shielded: one reader who leaves must not take the trace from another who waits for it.
        return await asyncio.shield(task)

    def forget(self) -> None:
        """The rules have changed: what was judged by the old ones is judged anew when it is asked for."""
        self._era += 1
        self._kept.clear()
        self._under_way.clear()

    async def current(self, opened: Opened) -> Opened:
        """A trace that is kept elsewhere, by the rules in force now: itself where they have not changed since."""
        return opened if opened.era == self._era else await self.judged(opened.trace, opened.received)

    async def judged(self, trace: Trace, received: TraceBytes) -> Opened:
        """A trace that is already here, such as an uploaded one. It is not kept."""
        era = self._era
        verdict = self._judge(trace) if len(trace) <= _INLINE else await asyncio.to_thread(self._judge, trace)
        return Opened(trace, received, verdict, era)

    async def _open(self, trace_id: str) -> Opened:
        if self._fetch is None:
            raise SourceRefused("Tempo", "trace by id", "No Tempo is set up, so no trace can be opened.")
        trace, received = await self._fetch(trace_id)
        opened = await self.judged(trace, received)
        if opened.era != self._era:
            return opened
        self._kept.pop(trace_id, None)
        self._kept[trace_id] = opened
        while len(self._kept) > 1 and sum(len(one.trace) for one in self._kept.values()) > self._most_spans:
            del self._kept[next(iter(self._kept))]
        asyncio.get_running_loop().call_later(self._keep_s, self._forget, trace_id, opened)
        return opened

    def _done(self, trace_id: str, task: asyncio.Task[Opened]) -> None:
        if self._under_way.get(trace_id) is task:
            del self._under_way[trace_id]

    def _forget(self, trace_id: str, opened: Opened) -> None:
        if self._kept.get(trace_id) is opened:
            del self._kept[trace_id]
        # Spans and their parents hold each other, and after a minute the collector counts them among what stays.
        self._forgotten += len(opened.trace)
        if self._forgotten >= _COLLECTED:
            self._forgotten = 0
            asyncio.get_running_loop().call_soon(gc.collect)
