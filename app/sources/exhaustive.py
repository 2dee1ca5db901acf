"""Complete searches: time is cut until every slice returns fewer traces than the limit.

Tempo's search returns the first matches it comes across, in no promised order and without a cursor. An answer shorter than
the limit is all there is; a longer range is bisected. What cannot be cut further (one second with more traces than Tempo
will list, a slice that failed) is reported with its times, never passed over.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import msgspec

from app.errors import SourceError
from app.sources.tempo import TempoClient, whole_seconds
from app.sources.tempo_wire import Hits, newest_first, overlaps, unite
from app.sources.values import CompleteSearch, FoundTrace, SearchSlice
from app.times import SECOND, UnixNanos

MOST_REQUESTS = 2_000
MOST_TRACES = 50_000
_AT_ONCE = 4  # of the source's request slots, so that pages still get theirs
_CROWDED = 20  # times the limit: what to ask for where a slice that cannot be cut holds more than the limit


class Progress(msgspec.Struct, frozen=True):
    """How far an exhaustive search has come; `searched` is the part of the window done, 0 to 1."""

    found: int
    requests: int
    searched: float


async def exhaustive_search(
    tempo: TempoClient,
    q: str,
    start_ns: int,
    end_ns: int,
    *,
    spans_per_set: int = 3,
    limit: int | None = None,
    most_requests: int = MOST_REQUESTS,
    most_traces: int = MOST_TRACES,
    deadline_s: float = 300,
    on_progress: Callable[[Progress], None] | None = None,
) -> CompleteSearch:
    """Every trace that matches `q` and touches the window, and where that could not be had.

    limit: traces per request; each trace is listed once however many slices it touches.
    most_requests, most_traces, deadline_s: where to stop; the slices then left are listed as not searched.
    Errors: SourceError where the very first request fails, such as for a bad query. Later failures mark their slice.
    """
    first_s, last_s = whole_seconds(start_ns, end_ns)
    limit = limit or tempo.settings.search_limit
    run = _Run(tempo, q, limit, spans_per_set, first_s, last_s)
    clock = asyncio.get_running_loop().time
    deadline = clock() + deadline_s
    reason = ""
    while run.pending and not reason:
        await run.search_next()
        if on_progress:
            on_progress(Progress(len(run.found), run.requests, run.searched))
        if clock() >= deadline:
            reason = f"after {deadline_s:g} s"
        elif run.requests >= most_requests:
            reason = f"after {run.requests:,} requests"
        elif len(run.found) >= most_traces:
            reason = f"at {len(run.found):,} traces"
    for start_s, end_s in run.pending:
        run.done.append(_slice(start_s, end_s, 0, f"Not searched: the search ended {reason}."))
    return CompleteSearch(
        traces=newest_first(trace for trace in run.found.values() if overlaps(trace, start_ns, end_ns)),
        query=q,
        start_ns=UnixNanos(start_ns),
        end_ns=UnixNanos(end_ns),
        slices=tuple(sorted(run.done, key=lambda part: part.start_ns)),
        requests=run.requests,
    )


class _Run:
    """One exhaustive search under way. Slices are whole seconds: no finer times can be asked for."""

    def __init__(self, tempo: TempoClient, q: str, limit: int, spans_per_set: int, first_s: int, last_s: int) -> None:
        self._tempo = tempo
        self._q = q
        self._limit = limit
        self._spans_per_set = spans_per_set
        self._range_s = last_s - first_s
        self._answered = False
        self.pending: deque[tuple[int, int]] = deque()
        self.done: list[SearchSlice] = []
        self.found: dict[str, FoundTrace] = {}
        self.requests = 0
        # Asked for nothing but its newest seconds, which it does not search yet, Tempo 3 answers with the last quarter
        # of an hour instead. One slice therefore holds them all and begins a second before them.
        self._newest_s = max(first_s, tempo.searched_until_s() - 1) if tempo.settings.search_cutoff_s else last_s
        if self._newest_s < last_s:
            self.pending.append((self._newest_s, last_s))
        if first_s < self._newest_s:
            self._cut(first_s, min(self._newest_s, last_s), at_end=True)

    @property
    def searched(self) -> float:
        return sum(part.end_ns - part.start_ns for part in self.done) / (self._range_s * SECOND)

    async def search_next(self) -> None:
        """The newest slices in line, several at once as soon as one answer has shown that the query is a good one."""
        count = min(_AT_ONCE, len(self.pending)) if self._answered else 1
        slices = [self.pending.popleft() for _ in range(count)]
        await asyncio.gather(*(self._search(start_s, end_s) for start_s, end_s in slices))

    async def _search(self, start_s: int, end_s: int) -> None:
        try:
            hits = await self._ask(start_s, end_s, self._limit)
        except SourceError as error:
            if self._tempo.learned_range(error) or self._tempo.search_range_s < end_s - start_s:
                self._cut(start_s, end_s)
            elif self._answered:
                self._finish(start_s, end_s, 0, str(error))
            else:
                raise
            return
        self._answered = True
        unite(self.found, hits.traces)
        if hits.received < self._limit:
            self._finish(start_s, end_s, hits.received, hits.problem)
        elif end_s - start_s > 1 and start_s < self._newest_s:
            middle_s = (start_s + end_s) // 2
            self.pending.extendleft([(start_s, middle_s), (middle_s, end_s)])
        else:
            await self._search_crowded(start_s, end_s)

    async def _search_crowded(self, start_s: int, end_s: int) -> None:
        """A slice that cannot be cut: asked once more, with a much higher limit."""
        limit = self._limit * _CROWDED
        try:
            hits = await self._ask(start_s, end_s, limit)
        except SourceError as error:
            self._finish(start_s, end_s, self._limit, f"{self._limit:,} traces or more, and no finer cut. {error}")
            return
        unite(self.found, hits.traces)
        problem = hits.problem if hits.received < limit else f"{limit:,} traces or more, and no finer cut."
        self._finish(start_s, end_s, hits.received, problem)

    def _finish(self, start_s: int, end_s: int, found: int, problem: str) -> None:
        unsearched = self._tempo.unsearched(end_s * SECOND) if start_s >= self._newest_s else ""
        self.done.append(_slice(start_s, end_s, found, f"{problem} {unsearched}".strip()))

    async def _ask(self, start_s: int, end_s: int, limit: int) -> Hits:
        self.requests += 1
        return await self._tempo.search_once(self._q, start_s, end_s, limit=limit, spans_per_set=self._spans_per_set)

    def _cut(self, start_s: int, end_s: int, *, at_end: bool = False) -> None:
        """Into ranges that Tempo accepts. Newest first: of a search that breaks off, people need the newest part."""
        width_s = max(1, self._tempo.search_range_s)
        pieces = [(max(start_s, upper_s - width_s), upper_s) for upper_s in range(end_s, start_s, -width_s)]
        if at_end:
            self.pending.extend(pieces)
        else:
            self.pending.extendleft(reversed(pieces))


def _slice(start_s: int, end_s: int, found: int, problem: str) -> SearchSlice:
    return SearchSlice(UnixNanos(start_s * SECOND), UnixNanos(end_s * SECOND), found, problem)
