"""The traces behind an alert: searched for to the end, counted a second way, fetched and judged.

The search, its independent count, Prometheus' counters and the exemplars are asked for at once, and each may fail alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from app.errors import SourceError, SourceRefused, SourceUnavailable
from app.investigation import completeness, measure
from app.investigation.board import Trouble
from app.investigation.candidates import Candidate
from app.investigation.completeness import BlindSpot, Completeness, Count
from app.investigation.judgements import Judgements
from app.investigation.pivots import Plan, Search, Way, Window
from app.investigation.shared import Shared
from app.investigation.sources import Sources
from app.sources.exhaustive import exhaustive_search
from app.sources.tempo import TempoClient
from app.sources.values import CompleteSearch, Exemplar, FoundTrace, Series
from app.times import MINUTE, SECOND, UnixNanos
from app.traceql import nodes, write

T = TypeVar("T")

_MOST_TRACES = 5_000
_MOST_REQUESTS = 300
_SEARCH_S = 20.0
# A window that has passed does not change; one that reaches to now does.
_KEEP_PAST_S, _KEEP_LIVE_S = 120.0, 10.0
_TALLY_POINTS = 120
_RESULT, _REASON = nodes.span("auth.result"), nodes.span("auth.failure_reason")


class Behind(msgspec.Struct, frozen=True):
    """What was found.

    search:       the way that was gone, None where there is nothing to search by.
    fell_back:    the alert's own labels found nothing, and this is the next way.
    candidates:   in no order; exemplars that no search found are among them.
    beyond:       how many of them are past the number that is judged.
    completeness: None where the search failed.
    blind:        None where Prometheus does not count these requests, or neither could be counted.
    storage:      does Prometheus keep exemplars? None where it does not tell.
    """

    search: Search | None
    window: Window
    fell_back: bool
    candidates: tuple[Candidate, ...]
    beyond: int
    completeness: Completeness | None
    blind: BlindSpot | None
    storage: bool | None
    troubles: tuple[Trouble, ...]

    @property
    def waiting(self) -> int:
        """How many are still being judged."""
        return sum(candidate.verdict is None for candidate in self.candidates) - self.beyond


class _Found(msgspec.Struct, frozen=True):
    """Answers to the questions of one plan; an error stands where its answer would."""

    search: CompleteSearch | SourceError | None
    count: Count | SourceError | None
    exemplars: tuple[tuple[Exemplar, ...], bool | None] | SourceError | None
    blind: BlindSpot | None


class Finder:
    """One per process. `most_judged` traces of an alert are fetched and judged; all that match are counted."""

    def __init__(self, sources: Sources, judgements: Judgements | None, *, most_judged: int) -> None:
        self._sources = sources
        self._judgements = judgements
        self._most_judged = most_judged
        self._shared: Shared[tuple[str, ...], _Found] = Shared()

    async def behind(self, plan: Plan, way: str | None, *, now_ns: UnixNanos, deadline_s: float) -> Behind:
        """The traces, as far as they are found and judged by the deadline. The rest goes on."""
        loop = asyncio.get_running_loop()
        until = loop.time() + deadline_s
        search, fell_back = plan.search(way), False
        found = await self._found(plan, search, now_ns)
        if way is None and search is not None and search.way is not Way.TIME and _nothing(found):
            # Labels that fit no span: what the service decided at that time is the next best.
            search, fell_back = plan.search(Way.TIME), True
            found = await self._found(plan, search, now_ns)
        candidates = _candidates(found, search)
        wanted = _worth_judging(candidates, found)[: self._most_judged]
        if self._judgements is not None and wanted:
            verdicts = await self._judgements.of(wanted, deadline_s=max(0.05, until - loop.time()))
            candidates = [msgspec.structs.replace(one, verdict=verdicts.get(one.trace_id)) for one in candidates]
        whole = None
        if isinstance(found.search, CompleteSearch):
            counted = found.count if isinstance(found.count, Count) else None
            why = f"Not counted independently: {found.count.sentence}" if isinstance(found.count, SourceError) else ""
            whole = completeness.completeness(found.search, counted, why_not_counted=why)
        return Behind(
            search=search,
            window=plan.window,
            fell_back=fell_back,
            candidates=tuple(candidates),
            beyond=max(0, len(candidates) - self._most_judged),
            completeness=whole,
            blind=found.blind if not fell_back else None,
            storage=found.exemplars[1] if isinstance(found.exemplars, tuple) else None,
            troubles=tuple(_troubles(found)),
        )

    async def close(self) -> None:
        await self._shared.close()

    async def _found(self, plan: Plan, search: Search | None, now_ns: UnixNanos) -> _Found:
        key = (search.query if search else "", str(plan.window.start_ns), _until(plan.window, now_ns), *plan.exemplars)
        past = plan.window.end_ns < now_ns - MINUTE
        return await self._shared.get(key, lambda: self._ask(plan, search), ttl_s=_KEEP_PAST_S if past else _KEEP_LIVE_S)

    async def _ask(self, plan: Plan, search: Search | None) -> _Found:
        tempo, prometheus = self._sources.tempo, self._sources.prometheus
        window = plan.window
        begin, end = window.start_ns, window.end_ns
        found, count, exemplars, tally = await asyncio.gather(
            _or_error(lambda: _searched(tempo, search, begin, end)) if tempo and search else _nobody(),
            _or_error(lambda: _counted(tempo, search.count_query, begin, end)) if tempo and search else _nobody(),
            _or_error(lambda: measure.exemplars(prometheus, plan.exemplars, begin, end))
            if prometheus and plan.exemplars
            else _nobody(),
            self._tally(plan, search),
        )
        blind = None
        if tally is not None and isinstance(count, Count) and plan.tally is not None:
            series, step = tally
            blind = completeness.blind_spot(plan.tally.counter, series, count, start_ns=begin, step_ns=step)
        return _Found(found, count, exemplars, blind)

    async def _tally(self, plan: Plan, search: Search | None) -> tuple[Sequence[Series], int] | None:
        """The counters over the window. Only beside a search that asks for every outcome: else it is no comparison."""
        prometheus = self._sources.prometheus
        if prometheus is None or plan.tally is None or search is None or search.way is not Way.ANY:
            return None
        step = max(15 * SECOND, (plan.window.end_ns - plan.window.start_ns) // _TALLY_POINTS // SECOND * SECOND)
        try:
            answer = await prometheus.query_range(
                plan.tally.selector, plan.window.start_ns, plan.window.end_ns, step / SECOND
            )  # fmt: skip
        except SourceError:
            return None
        return answer.series, step


async def _searched(tempo: TempoClient, search: Search, begin: int, end: int) -> CompleteSearch:
    # The result and reason come back with each hit, so that a rare outcome among thousands is known before any is fetched.
    asked = nodes.Query(nodes.Pipeline((*search.filter.stages, nodes.Select((_RESULT, _REASON)))))
    return await exhaustive_search(
        tempo,
        write.write(asked),
        begin,
        end,
        most_requests=_MOST_REQUESTS,
        most_traces=_MOST_TRACES,
        deadline_s=_SEARCH_S,
    )


async def _counted(tempo: TempoClient, query: str, begin: int, end: int) -> Count:
    """All matching spans, counted by TraceQL metrics: at once, or in pieces where the range is too long for that."""
    try:
        return completeness.count(await tempo.metrics_instant(query, begin, end))
    except SourceRefused as error:
        if error.status != 400:
            raise
    step_s = max(60, -(-(end - begin) // SECOND // 100))
    return completeness.count(await tempo.metrics_range(query, begin, end, step_s))


async def _or_error(ask: Callable[[], Awaitable[T]]) -> T | SourceError:
    try:
        return await ask()
    except SourceError as error:
        return error


async def _nobody() -> None:
    return None


def _until(window: Window, now_ns: UnixNanos) -> str:
    """A window that reaches to now moves with every request; within a few seconds it is the same question."""
    return str(window.end_ns) if window.end_ns < now_ns - MINUTE else f"live {window.end_ns // (10 * SECOND)}"


def _nothing(found: _Found) -> bool:
    return isinstance(found.search, CompleteSearch) and not found.search.traces and found.search.complete


def _candidates(found: _Found, search: Search | None) -> list[Candidate]:
    why = search.why if search else ""
    hits = found.search.traces if isinstance(found.search, CompleteSearch) else ()
    exemplars = found.exemplars[0] if isinstance(found.exemplars, tuple) else ()
    named = {one.trace_id: one for one in exemplars}
    listed = [_hit(trace, why, trace.trace_id in named) for trace in hits]
    known = {one.trace_id for one in listed}
    # No search found these: the trace is not stored, or the labels say otherwise than its spans.
    listed += [
        Candidate(one.trace_id, one.time_ns, 0, "", "", exemplar=True) for one in named.values() if one.trace_id not in known
    ]
    return listed


def _hit(trace: FoundTrace, why: str, exemplar: bool) -> Candidate:
    name = " ".join(part for part in (trace.root_service, trace.root_name) if part)
    return Candidate(trace.trace_id, trace.start_ns, trace.duration_ns, name, why, exemplar)


def _worth_judging(candidates: Sequence[Candidate], found: _Found) -> list[str]:
    """Ids in the order in which to judge them: exemplars, then rare results, then the newest. Only so many are judged."""
    hits = found.search.traces if isinstance(found.search, CompleteSearch) else ()
    results = {trace.trace_id: _result(trace) for trace in hits}
    frequency: dict[str, int] = {}
    for result in results.values():
        frequency[result] = frequency.get(result, 0) + 1
    ordered = sorted(
        candidates,
        key=lambda one: (not one.exemplar, frequency.get(results.get(one.trace_id, ""), 0), -one.start_ns),
    )
    return [one.trace_id for one in ordered]


def _result(trace: FoundTrace) -> str:
    """What the matching spans say of their outcome; several results are a kind of their own."""
    words = {
        str(value)
        for span in trace.spans
        for name, value in span.attributes.items()
        if name in ("auth.result", "auth.failure_reason")
    }
    return " ".join(sorted(words))


def _troubles(found: _Found) -> list[Trouble]:
    troubles = []
    if isinstance(found.search, SourceError):
        troubles.append(
            _trouble(
                found.search,
                "The alert, its labels and its chart do not depend on it. No list is shown rather than an old one.",
            )
        )
    if isinstance(found.exemplars, SourceError):
        troubles.append(_trouble(found.exemplars, "Exemplars are missing; the search does not need them."))
    return troubles


def _trouble(error: SourceError, missing: str) -> Trouble:
    return Trouble(error.source, error.sentence, missing, error.detail, retry=isinstance(error, SourceUnavailable))
