"""Asks for the panels, each on its own: one that fails takes no other along.

overview = Overview(sources, judgements)
answer = await overview.sources(window, Basis.METRICS)
"""

from __future__ import annotations

import asyncio
import enum
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from app.analysis.verdict import Layer, Outcome
from app.errors import SourceError, SourceRefused
from app.investigation.asking import Window
from app.investigation.judgements import Judged, Judgements
from app.investigation.overview import figures, metrics, traces
from app.investigation.overview.figures import Histograms, NamesRow, RefusalRow, SourceRow, StepRow, Success
from app.investigation.overview.window import BASELINES, cut, shifted, step_ns
from app.investigation.shared import Shared
from app.investigation.sources import Sources
from app.sources.prometheus import PrometheusClient
from app.sources.tempo import TempoClient
from app.sources.tempo_wire import range_limit_s
from app.sources.values import QueryResult
from app.times import SECOND, UnixNanos
from app.traceql.nodes import Field
from app.traceql.write import field as label_of

T = TypeVar("T")

# Whoever looks at the same window within this time gets the same answer.
_SAME_S = 8.0
_PRESENT_S = 60.0
_MOST_JUDGED = 100
_JUDGE_S = 6.0
_MOST_PIECES = 24
_REFUSALS = (Outcome.DENIED, Outcome.PARTIALLY_DENIED, Outcome.BYPASSED)


class Basis(enum.StrEnum):
    """What figures rest on: metrics count every check, traces are those that were kept."""

    METRICS = "metrics"
    TRACES = "traces"


class Asked(msgspec.Struct, frozen=True):
    """One question, to be run again. step_ns: of a curve; 0 where there is one value for the whole window."""

    language: str
    query: str
    window: Window
    step_ns: int = 0
    what: str = ""


class Answer(msgspec.Struct, Generic[T], frozen=True):
    """figures with what they rest on.

    present:  False where the source has no auth checks at all, which is another thing than none in this window.
    warnings: the source's own words.
    """

    basis: Basis
    figures: T
    asked: tuple[Asked, ...]
    present: bool = True
    warnings: tuple[str, ...] = ()


class Layers(msgspec.Struct, frozen=True):
    """Which layer refused, by verdict, in the newest refused traces.

    looked_at: refused traces looked at; more: there are others; waiting: verdicts still to come.
    otherwise: traces in which a check refused and the request was not refused.
    """

    layers: tuple[tuple[Layer, int], ...]
    looked_at: int
    more: bool
    waiting: int
    otherwise: int


class _Measured(msgspec.Struct, frozen=True):
    asked: Asked
    histograms: Histograms
    warnings: tuple[str, ...]


class Overview:
    """One per process; close it."""

    def __init__(self, sources: Sources, judgements: Judgements | None) -> None:
        self._sources = sources
        self._judgements = judgements
        self._kept: Shared[tuple[object, ...], object] = Shared(most=512)

    async def close(self) -> None:
        await self._kept.close()

    @property
    def bases(self) -> tuple[Basis, ...]:
        """What there is to rest figures on, the better first."""
        there = ((Basis.METRICS, self._sources.prometheus), (Basis.TRACES, self._sources.tempo))
        return tuple(basis for basis, client in there if client is not None)

    # ------------------------------------------------------------------------------------------------------- panels

    async def sources(self, window: Window, basis: Basis) -> Answer[tuple[SourceRow, ...]]:
        """The sources that were refused most. Errors: SourceError."""

        async def ask() -> Answer[tuple[SourceRow, ...]]:
            if basis is Basis.METRICS:
                query = metrics.sources(_length(window))
                result = await self._instant(query, window)
                rows = figures.sources_of_metrics(result.series)
            else:
                query = traces.sources()
                result = await self._counted(query, window)
                rows = figures.sources_of_traces(result.series, _labels(traces.SOURCE), traces.MOST_SOURCES)
            return await self._answer(basis, rows, _asked(basis, query, window), empty=not rows, warnings=result.warnings)

        return await self._shared("sources", window, basis, ask)

    async def success(self, window: Window, basis: Basis) -> Answer[Success]:
        """How checks ended over time. Errors: SourceError."""

        async def ask() -> Answer[Success]:
            step = step_ns(window)
            # Each point stands for the step before it: the window's own start is none. Tempo's stand at round times, so
            # that the last one is not over yet.
            end = UnixNanos(window.end_ns + -window.end_ns % step) if basis is Basis.TRACES else window.end_ns
            times = tuple(UnixNanos(at) for at in range(end, window.start_ns, -step))[::-1]
            if basis is Basis.METRICS:
                query = metrics.results(step)
                first = times[0] if times else window.end_ns
                result = await self._prometheus.query_range(query, first, window.end_ns, step / SECOND)
                found = figures.success(result.series, "span_name", "auth_result", times)
            else:
                query = traces.results()
                result = await self._tempo.metrics_range(query, window.start_ns, window.end_ns, step // SECOND)
                found = figures.success(result.series, "name", label_of(traces.RESULT), times)
            return await self._answer(
                basis, found, _asked(basis, query, window, step), empty=found.is_empty, warnings=result.warnings
            )

        return await self._shared("success", window, basis, ask)

    async def latency(self, window: Window, basis: Basis) -> Answer[tuple[StepRow, ...]]:
        """How long each step takes, against the same time a week or a day before. Errors: SourceError."""

        async def ask() -> Answer[tuple[StepRow, ...]]:
            now, *earlier = await asyncio.gather(
                self._durations(_durations(basis, window)),
                *(self._usual(_durations(basis, window, name, shift)) for name, shift in BASELINES),
            )
            rows = figures.against_baseline(now.histograms, ((one.asked.what, one.histograms) for one in earlier))
            warnings = tuple(dict.fromkeys(words for one in (now, *earlier) for words in one.warnings))
            asked = (one.asked for one in (now, *earlier))
            return await self._answer(basis, rows, *asked, empty=not rows, warnings=warnings)

        return await self._shared("latency", window, basis, ask)

    async def _durations(self, asked: Asked) -> _Measured:
        if asked.language == "PromQL":
            result = await self._instant(asked.query, asked.window)
            return _Measured(asked, figures.buckets_of_metrics(result.series), result.warnings)
        result = await self._counted(asked.query, asked.window)
        return _Measured(asked, figures.buckets_of_traces(result.series), result.warnings)

    async def _usual(self, asked: Asked) -> _Measured:
        """An earlier time. What a source cannot tell of it, such as what it does not keep, leaves the present its figures."""
        try:
            return await self._durations(asked)
        except SourceError as error:
            return _Measured(asked, {}, (f"{asked.what.capitalize()}: {error.sentence}",))

    async def names(self, window: Window, basis: Basis) -> Answer[tuple[NamesRow, ...]]:
        """How many different names failed to log in from each source. Errors: SourceError."""

        async def ask() -> Answer[tuple[NamesRow, ...]]:
            if basis is Basis.METRICS:
                query = metrics.names(_length(window))
                result = await self._instant(query, window)
                rows = figures.names_of_metrics(result.series)
            else:
                query = traces.names()
                result = await self._counted(query, window)
                spellings, users = _labels(traces.SOURCE), _labels(traces.USER)
                rows = figures.names_of_traces(result.series, spellings, users, traces.MOST_SOURCES)
            return await self._answer(basis, rows, _asked(basis, query, window), empty=not rows, warnings=result.warnings)

        return await self._shared("names", window, basis, ask)

    async def refusals(self, window: Window, basis: Basis) -> Answer[tuple[RefusalRow, ...]]:
        """Refusals by service and step. Errors: SourceError."""

        async def ask() -> Answer[tuple[RefusalRow, ...]]:
            if basis is Basis.METRICS:
                query = metrics.refusals(_length(window))
                result = await self._instant(query, window)
                rows = figures.refusals(result.series, "service_name", "span_name")
            else:
                query = traces.refusals()
                result = await self._counted(query, window)
                rows = figures.refusals(result.series, label_of(traces.SERVICE), "name")
            return await self._answer(basis, rows, _asked(basis, query, window), empty=not rows, warnings=result.warnings)

        return await self._shared("refusals", window, basis, ask)

    async def layers(self, window: Window) -> Answer[Layers]:
        """Which layer refused, by the verdicts on the newest refused traces. Errors: SourceError."""
        query = traces.refused()

        async def search() -> tuple[tuple[str, ...], bool, str]:
            found = await self._tempo.search(query, window.start_ns, window.end_ns, limit=_MOST_JUDGED, spans_per_set=1)
            return tuple(trace.trace_id for trace in found.traces), found.limited or found.incomplete, found.note

        ids, more, note = await self._shared("layers", window, Basis.TRACES, search)
        judgements = self._judgements
        verdicts = await judgements.of(ids, deadline_s=_JUDGE_S) if judgements is not None else {}
        judged = [one for one in verdicts.values() if isinstance(one, Judged)]
        refused = Counter(one.layer for one in judged if one.outcome in _REFUSALS and one.layer is not None)
        told = Layers(
            layers=tuple(sorted(refused.items(), key=lambda pair: (-pair[1], pair[0]))),
            looked_at=len(ids),
            more=more,
            waiting=len(ids) - len(verdicts),
            otherwise=len(judged) - refused.total(),
        )
        return Answer(Basis.TRACES, told, (_asked(Basis.TRACES, query, window),), warnings=(note,) if note else ())

    # ------------------------------------------------------------------------------------------------------- asking

    @property
    def _prometheus(self) -> PrometheusClient:
        if self._sources.prometheus is None:
            raise SourceRefused("Prometheus", "query", "No Prometheus is set up: CLEW_PROMETHEUS__URL is empty.")
        return self._sources.prometheus

    @property
    def _tempo(self) -> TempoClient:
        if self._sources.tempo is None:
            raise SourceRefused("Tempo", "trace metrics", "No Tempo is set up: CLEW_TEMPO__URL is empty.")
        return self._sources.tempo

    async def _instant(self, query: str, window: Window) -> QueryResult:
        return await self._prometheus.query(query, window.end_ns)

    async def _counted(self, query: str, window: Window) -> QueryResult:
        """A count over the whole window; piece by piece, and added up, where Tempo refuses it as too long."""
        try:
            return await self._tempo.metrics_instant(query, window.start_ns, window.end_ns)
        except SourceRefused as error:
            longest_s = range_limit_s(error.detail)
            if longest_s is None:
                raise
            pieces = cut(window, longest_s * SECOND)
            if len(pieces) > _MOST_PIECES:
                raise
        found = await asyncio.gather(*(self._tempo.metrics_instant(query, one.start_ns, one.end_ns) for one in pieces))
        warnings = dict.fromkeys(words for one in found for words in one.warnings)
        return QueryResult(figures.added(one.series for one in found), tuple(warnings))

    async def _answer(self, basis: Basis, found: T, *asked: Asked, empty: bool, warnings: tuple[str, ...] = ()) -> Answer[T]:
        present = not empty or basis is Basis.TRACES or await self._has_metrics()
        return Answer(basis, found, asked, present, warnings)

    async def _has_metrics(self) -> bool:
        """Whether Prometheus has ever so lately heard of an auth check. Believed where it does not say."""

        async def ask() -> bool:
            return bool((await self._prometheus.query(metrics.PRESENT)).series)

        try:
            return bool(await self._kept.get(("present",), ask, ttl_s=_PRESENT_S))
        except SourceError:
            return True

    async def _shared(self, panel: str, window: Window, basis: Basis, ask: Callable[[], Awaitable[T]]) -> T:
        key = (panel, basis, window.start_ns, window.end_ns)
        found: T = await self._kept.get(key, ask, ttl_s=_SAME_S)  # type: ignore[assignment]
        return found


def _asked(basis: Basis, query: str, window: Window, step: int = 0) -> Asked:
    return Asked("PromQL" if basis is Basis.METRICS else "TraceQL", query, window, step)


def _durations(basis: Basis, window: Window, what: str = "", earlier_ns: int = 0) -> Asked:
    """The question for a time so much earlier: PromQL says so by itself."""
    if basis is Basis.METRICS:
        return Asked("PromQL", metrics.durations(_length(window), earlier_ns), window, what=what)
    return Asked("TraceQL", traces.durations(), shifted(window, earlier_ns), what=what)


def _labels(fields: Sequence[Field]) -> tuple[str, ...]:
    return tuple(label_of(one) for one in fields)


def _length(window: Window) -> int:
    """In whole seconds: PromQL's durations are read by people."""
    return max(SECOND, (window.end_ns - window.start_ns) // SECOND * SECOND)
