"""Ask the sources over a window, then conclude: the front door of this package.

    report = await gather.examine(sources, judge, labels, start_ns=now - HOUR, end_ns=now, now_ns=now)

It takes seconds: a few requests at a time, a bounded sample of traces, the heavy work in threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from time import monotonic

import msgspec

from app.doctor import connections
from app.doctor.asking import counters, kept, metrics, pipeline, traces
from app.doctor.diagnose import diagnose
from app.doctor.facts import CaseTraces, Facts, Metric, Missing, Pipeline, Refused, Tally
from app.doctor.observe import Observed
from app.doctor.report import Connection, Report, SampleSize
from app.doctor.retention import OpenCase
from app.doctor.sampled import suspects
from app.investigation.judging import Judge
from app.investigation.labels import LabelMap
from app.investigation.sources import Sources
from app.sources.prometheus import PrometheusClient
from app.sources.tempo import TempoClient
from app.times import SECOND, UnixNanos

MOST_TRACES = 120
# Until then a span may be in a batch, before the sampler's decision, or not searched yet.
SETTLE_S = 45.0


async def examine(
    sources: Sources,
    judge: Judge,
    labels: LabelMap,
    *,
    start_ns: UnixNanos,
    end_ns: UnixNanos,
    now_ns: UnixNanos,
    cases: Sequence[OpenCase] | None = None,
    most_traces: int = MOST_TRACES,
    settle_s: float = SETTLE_S,
) -> Report:
    """The report on a window.

    cases:       open cases and the traces they name; None where the database could not be asked.
    most_traces: that are fetched and judged, spread over the window.
    settle_s:    for so long before now, counts are not compared and missing spans not missed.
    Errors:      none of the sources'; a source that fails is a finding, and what it alone could tell is not known.
    """
    begun = monotonic()
    asked = await connections.ask(sources, now_ns)
    tempo = sources.tempo if _answers(asked, "Tempo") else None
    prometheus = sources.prometheus if _answers(asked, "Prometheus") else None
    settled_ns = min(end_ns, now_ns - round(settle_s * SECOND))
    compared = (start_ns, settled_ns) if settled_ns > start_ns + 30 * SECOND else (start_ns, end_ns)
    of_traces, of_metrics, of_cases = await asyncio.gather(
        _of_tempo(tempo, judge, start_ns, end_ns, settled_ns, compared, most_traces, _silence(asked, "Tempo")),
        _of_prometheus(prometheus, tempo, labels, start_ns, end_ns, compared, _silence(asked, "Prometheus")),
        _of_cases(tempo, cases, _silence(asked, "Tempo")),
    )
    facts = Facts(
        start_ns=start_ns,
        end_ns=end_ns,
        connections=asked,
        sample=of_traces.sample,
        traces=of_traces.traces,
        spans=of_traces.spans,
        before=of_traces.before,
        roots={},
        kept=of_traces.kept,
        counted=of_metrics.counted,
        refused=of_metrics.refused,
        metrics=of_metrics.metrics,
        pipeline=of_metrics.pipeline,
        kept_for_ns=of_traces.kept_for_ns,
        metrics_kept=of_metrics.metrics_kept,
        cases=of_cases,
    )
    if tempo is not None:
        found = await traces.roots(tempo, suspects(facts), start_ns, end_ns)
        facts = msgspec.structs.replace(facts, roots=found)
    report = await asyncio.to_thread(diagnose, facts, checked_ns=now_ns, took_ms=0)
    return msgspec.structs.replace(report, took_ms=round((monotonic() - begun) * 1000))


class _OfTempo(msgspec.Struct, frozen=True):
    traces: tuple[Observed, ...] | Missing
    sample: SampleSize
    spans: Mapping[str, int] | Missing
    before: Mapping[str, int] | Missing
    kept: Tally | Missing
    kept_for_ns: int | Missing


async def _of_tempo(
    tempo: TempoClient | None,
    judge: Judge,
    start_ns: int,
    end_ns: int,
    settled_ns: int,
    compared: tuple[int, int],
    most: int,
    silence: Missing,
) -> _OfTempo:
    if tempo is None:
        return _OfTempo(silence, SampleSize(0, 0, most, sentence=silence.why), silence, silence, silence, silence)
    spans = await traces.spans_by_service(tempo, start_ns, end_ns)
    (sampled, size), before, tally, kept_for = await asyncio.gather(
        traces.sample(tempo, judge, start_ns=start_ns, end_ns=end_ns, settled_ns=settled_ns, most=most, services=spans),
        traces.spans_by_service(tempo, max(0, 2 * start_ns - end_ns), start_ns),
        counters.kept(tempo, *compared),
        kept.traces_for(tempo),
    )
    return _OfTempo(sampled, size, spans, before, tally, kept_for)


class _OfPrometheus(msgspec.Struct, frozen=True):
    counted: Tally | Missing
    refused: Refused | Missing
    metrics: tuple[Metric, ...] | Missing
    pipeline: Pipeline | Missing
    metrics_kept: str | Missing


async def _of_prometheus(
    prometheus: PrometheusClient | None,
    tempo: TempoClient | None,
    labels: LabelMap,
    start_ns: int,
    end_ns: int,
    compared: tuple[int, int],
    silence: Missing,
) -> _OfPrometheus:
    if prometheus is None:
        return _OfPrometheus(silence, silence, silence, silence, silence)
    (counted, refused), series, way, kept_for = await asyncio.gather(
        _counts(prometheus, tempo, labels, compared),
        metrics.metrics(prometheus, labels, start_ns, end_ns),
        pipeline.pipeline(prometheus, labels, start_ns, end_ns),
        kept.metrics_for(prometheus),
    )
    return _OfPrometheus(counted, refused, series, way, kept_for)


async def _counts(
    prometheus: PrometheusClient, tempo: TempoClient | None, labels: LabelMap, window: tuple[int, int]
) -> tuple[Tally | Missing, Refused | Missing]:
    counter = await counters.known(prometheus, labels, *window)
    if isinstance(counter, Missing):
        return counter, counter
    if tempo is None:
        return await counters.tally(prometheus, counter, *window), Missing("Tempo is not there to look for their traces.")
    return await asyncio.gather(
        counters.tally(prometheus, counter, *window), counters.refused(prometheus, tempo, counter, *window)
    )  # fmt: skip


async def _of_cases(
    tempo: TempoClient | None, cases: Sequence[OpenCase] | None, silence: Missing
) -> tuple[CaseTraces, ...] | Missing:
    if cases is None:
        return Missing("The database of cases was not asked.")
    return silence if tempo is None else await kept.case_traces(tempo, cases)


def _answers(connections: Sequence[Connection], source: str) -> bool:
    return any(one.source == source and one.configured and not one.problem for one in connections)


def _silence(connections: Sequence[Connection], source: str) -> Missing:
    return Missing(next((one.problem for one in connections if one.source == source), ""))
