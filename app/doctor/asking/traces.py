"""A sample of the window's traces, fetched, judged and looked at as telemetry; and what the backend counts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from app.doctor.facts import Missing
from app.doctor.observe import Observed, observed
from app.doctor.report import SampleSize
from app.errors import NotFound, SourceError, SourceRefused
from app.investigation.judging import Judge
from app.sources.tempo import TempoClient
from app.sources.values import FoundTrace, QueryResult
from app.times import SECOND
from app.traceql import nodes, write
from app.traces.model import Trace

_SLICES = 6
_AT_ONCE = 4  # of the source's slots, so that pages still get theirs
_SECONDS = 20.0  # for fetching; what has not come by then is left out, and said
_MOST_SPANS = 20_000
_MOST_ROOTS = 5

_ANY = "{ }"
_AUTH = "{ span.auth.result != nil }"
_LOUD = (
    '{ span.auth.result = "failure" || span.auth.result = "error" '
    "|| span.http.response.status_code = 401 || span.http.response.status_code = 403 "
    "|| span.http.status_code = 401 || span.http.status_code = 403 || span.rpc.grpc.status_code = 7 }"
)
# The shares of the sample: what there is, what was checked, what was refused, and the rest for each service, so that a flood
# of one kind (an attack, say) does not hide the others.
_SHARES = ((_ANY, 0.3), (_AUTH, 0.2), (_LOUD, 0.2))
_OF_SERVICES = 0.3
_MOST_SERVICES = 18


async def sample(
    tempo: TempoClient,
    judge: Judge,
    *,
    start_ns: int,
    end_ns: int,
    settled_ns: int,
    most: int,
    services: Mapping[str, int] | Missing,
) -> tuple[tuple[Observed, ...] | Missing, SampleSize]:
    """Traces from all over the window.

    settled_ns: what ended later may have spans under way.
    services:   spans by service; each gets its part of the sample, the rarest first where there are many.
    """
    try:
        found = await _found(tempo, start_ns, end_ns, most, _rarest(services))
    except SourceError as error:
        return Missing(error.sentence), SampleSize(0, 0, most, sentence=error.sentence)
    slots = asyncio.Semaphore(_AT_ONCE)
    loop = asyncio.get_running_loop()
    until = loop.time() + _SECONDS

    async def look(trace_id: str) -> Observed | None:
        async with slots:
            if loop.time() > until:
                return None
            try:
                trace, received = await tempo.trace(trace_id)
            except (NotFound, SourceError):
                return None
            if len(trace) > _MOST_SPANS:
                return None
            one = await asyncio.to_thread(_look, judge, trace, received.partial)
            return msgspec.structs.replace(one, fresh=one.end_ns > settled_ns)

    looked = await asyncio.gather(*(look(one.trace_id) for one in found))
    traces = tuple(one for one in looked if one is not None)
    return traces, _size(len(found), traces, most)


def _look(judge: Judge, trace: Trace, partial: bool) -> Observed:
    return observed(trace, judge(trace), judge.read(trace), partial=partial)


def _size(found: int, traces: Sequence[Observed], most: int) -> SampleSize:
    left = found - len(traces)
    sentence = f"{len(traces):,} traces from all over the window were looked at, many of them chosen for their auth checks."
    if found < most:
        sentence = f"{len(traces):,} traces were found in the window and looked at."
    if left:
        sentence += f" {left:,} more were found and could not be read in time."
    return SampleSize(found, len(traces), most, left, sentence)


def _rarest(services: Mapping[str, int] | Missing) -> list[str]:
    counts = {} if isinstance(services, Missing) else services
    return sorted(counts, key=lambda service: (counts[service], service))[:_MOST_SERVICES]


async def _found(tempo: TempoClient, start_ns: int, end_ns: int, most: int, services: Sequence[str]) -> list[FoundTrace]:
    """Ids from slice after slice and of service after service, so that one burst does not fill the sample."""
    width = max(SECOND, (end_ns - start_ns) // _SLICES)
    edges = [(begin, min(begin + width, end_ns)) for begin in range(start_ns, end_ns, width)][: _SLICES + 1]
    slots = asyncio.Semaphore(_AT_ONCE)

    async def ask(q: str, begin: int, end: int, limit: int) -> tuple[FoundTrace, ...]:
        async with slots:
            return (await tempo.search(q, begin, end, limit=limit, spans_per_set=1)).traces

    asked = [
        ask(q, begin, end, max(1, round(most * share / len(edges)))) for q, share in _SHARES for begin, end in edges
    ]  # fmt: skip
    each = max(2, round(most * _OF_SERVICES / max(1, len(services))))
    asked += [ask(_of_service(service), start_ns, end_ns, each) for service in services]
    found: dict[str, FoundTrace] = {}
    for traces in reversed(await asyncio.gather(*asked)):
        found.update((one.trace_id, one) for one in traces)
    if len(found) < most:  # some slices had fewer than their part, others may have more
        rest = await tempo.search(_ANY, start_ns, end_ns, limit=most, spans_per_set=1)
        for one in rest.traces:
            found.setdefault(one.trace_id, one)
    return list(found.values())[:most]


# -------------------------------------------------------------------------------------------------------------- counts


async def spans_by_service(tempo: TempoClient, start_ns: int, end_ns: int) -> Mapping[str, int] | Missing:
    """How many spans each service sent."""
    try:
        counts = await count(tempo, "{ } | count_over_time() by (resource.service.name)", start_ns, end_ns)
    except SourceError as error:
        return Missing(error.sentence)
    return {labels[0]: n for labels, n in counts.items() if labels[0]}


async def count(tempo: TempoClient, q: str, start_ns: int, end_ns: int) -> dict[tuple[str, ...], int]:
    """A count by the labels that `by()` names, in its order: at once, or in pieces where the range is too long for that.

    Errors: SourceError.
    """
    names = [name.strip() for name in q.rpartition("by (")[2].rstrip(")").split(",")]
    return _sums(await _asked(tempo, q, start_ns, end_ns), names)


async def _asked(tempo: TempoClient, q: str, start_ns: int, end_ns: int) -> QueryResult:
    try:
        return await tempo.metrics_instant(q, start_ns, end_ns)
    except SourceRefused as error:
        if error.status != 400:
            raise
    return await tempo.metrics_range(q, start_ns, end_ns, max(60, -(-(end_ns - start_ns) // SECOND // 100)))


def _sums(result: QueryResult, names: Iterable[str]) -> dict[tuple[str, ...], int]:
    found: dict[tuple[str, ...], int] = {}
    for series in result.series:
        key = tuple("" if (value := series.labels.get(name, "")) == "nil" else value for name in names)
        total = sum(sample.value for sample in series.samples if sample.value == sample.value)
        found[key] = found.get(key, 0) + round(total)
    return found


def _of_service(service: str) -> str:
    return write.write(nodes.search(nodes.span_filter(nodes.eq(nodes.resource("service.name"), service))))


async def roots(tempo: TempoClient, services: Sequence[str], start_ns: int, end_ns: int) -> dict[str, tuple[str, ...]]:
    """A few traces that begin in each of these services."""

    async def ask(service: str) -> tuple[str, tuple[str, ...]]:
        condition = nodes.and_(
            nodes.eq(nodes.Intrinsic.ROOT_SERVICE, service), nodes.eq(nodes.resource("service.name"), service)
        )  # fmt: skip
        query = write.write(nodes.search(nodes.span_filter(condition)))
        try:
            answer = await tempo.search(query, start_ns, end_ns, limit=_MOST_ROOTS, spans_per_set=1)
        except SourceError:
            return service, ()
        return service, tuple(one.trace_id for one in answer.traces)

    return {service: ids for service, ids in await asyncio.gather(*(ask(service) for service in services)) if ids}
