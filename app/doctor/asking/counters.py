"""Auth checks as Prometheus' counters have them, beside the spans that were kept; and exemplars of refusals."""

from __future__ import annotations

import asyncio

from app.doctor.asking import rises
from app.doctor.asking.traces import count
from app.doctor.facts import Missing, Refused, Tally
from app.errors import NotFound, SourceError
from app.investigation.labels import Counter, LabelMap
from app.sources import promql
from app.sources.prometheus import PrometheusClient
from app.sources.tempo import TempoClient
from app.times import MINUTE, SECOND

_MOST_SERIES = 5_000
_MOST_EXEMPLARS = 20
_SERVICE_LABELS = ("service_name", "service")

_KEPT = "{ span.auth.result != nil } | count_over_time() by (resource.service.name, span.auth.result)"


async def kept(tempo: TempoClient, start_ns: int, end_ns: int) -> Tally | Missing:
    """Auth checks that stand in traces."""
    try:
        found = await count(tempo, _KEPT, start_ns, end_ns)
    except SourceError as error:
        return Missing(error.sentence)
    by: dict[tuple[str, str], int] = {}
    for (service, result), n in found.items():
        by[service, result] = by.get((service, result), 0) + n
    return Tally(by)


async def known(prometheus: PrometheusClient, labels: LabelMap, start_ns: int, end_ns: int) -> Counter | Missing:
    """The first of the counters that this Prometheus has."""
    if not labels.counters:
        return Missing("No counter of auth checks is named in the labels file.")
    window = promql.duration(end_ns - start_ns)
    try:
        for counter in labels.counters:
            if (await prometheus.query(f"count(last_over_time({counter.metric}[{window}]))", end_ns)).series:
                return counter
    except SourceError as error:
        return Missing(error.sentence)
    return Missing(f"Prometheus has no {labels.counters[0].metric}: auth checks are not counted.")


async def tally(prometheus: PrometheusClient, counter: Counter, start_ns: int, end_ns: int) -> Tally | Missing:
    """Auth checks as counted, born series and resets included.

    slack: what rose in the first minute. Counters come a flush and a scrape after the spans, so that it may belong to
    spans from before the window.
    """
    step_ns = rises.step(start_ns, end_ns)
    service = next((label for label in _SERVICE_LABELS if label in counter.labels), "")
    words = {counter.allowed: "success", counter.refused: "failure"}
    try:
        size = await prometheus.query(f"count({counter.metric})", end_ns)
        if size.series and size.series[0].samples[-1].value > _MOST_SERIES:
            return await _rough(prometheus, counter, service, words, start_ns, end_ns)
        answer = await prometheus.query_range(counter.metric, start_ns, end_ns, step_ns / SECOND)
        since = await rises.alive(prometheus, answer.series, start_ns, end_ns)
    except SourceError as error:
        return Missing(error.sentence)
    by: dict[tuple[str, str], int] = {}
    slack = 0
    edge_ns = start_ns + max(MINUTE, 2 * step_ns)
    for series in answer.series:
        outcome = series.labels.get(counter.outcome, "")
        result = words.get(outcome, outcome)
        rose = rises.rise(series, since, start_ns, step_ns)
        key = (series.labels.get(service, ""), result)
        by[key] = by.get(key, 0) + rose
        if result in ("failure", "error"):
            first = [sample for sample in series.samples if sample.time_ns <= edge_ns]
            if first:
                slack += max(0, round(first[-1].value - first[0].value))
    return Tally(by, slack)


async def _rough(
    prometheus: PrometheusClient, counter: Counter, service: str, words: dict[str, str], start_ns: int, end_ns: int
) -> Tally:
    """By Prometheus' own increase(), where there are too many series to look at each: it misses what is born in the window."""
    group = ", ".join(filter(None, [service, counter.outcome]))
    window = promql.duration(end_ns - start_ns)
    answer = await prometheus.query(f"sum by ({group}) (increase({counter.metric}[{window}]))", end_ns)
    by: dict[tuple[str, str], int] = {}
    for series in answer.series:
        outcome = series.labels.get(counter.outcome, "")
        key = (series.labels.get(service, ""), words.get(outcome, outcome))
        by[key] = by.get(key, 0) + round(series.samples[-1].value)
    return Tally(by, about=f"There are too many series of {counter.metric} to count each: the count is Prometheus' estimate.")


async def refused(
    prometheus: PrometheusClient, tempo: TempoClient, counter: Counter, start_ns: int, end_ns: int
) -> Refused | Missing:
    """Exemplars of refused checks, and whether their traces are there."""
    selector = f"{counter.metric}{{{counter.outcome}={promql.quote(counter.refused)}}}"
    try:
        answer = await prometheus.query_exemplars(selector, start_ns, end_ns)
    except SourceError as error:
        return Missing(error.sentence)
    ids = list(dict.fromkeys(one.trace_id for one in answer.exemplars))[-_MOST_EXEMPLARS:]
    if not ids:
        why = "Prometheus keeps no exemplars." if answer.storage is False else "There are no exemplars of refusals."
        return Missing(why)
    slots = asyncio.Semaphore(4)

    async def is_gone(trace_id: str) -> bool:
        async with slots:
            try:
                await tempo.trace_bytes(trace_id)
            except NotFound:
                return True
            return False

    try:
        gone = await asyncio.gather(*(is_gone(trace_id) for trace_id in ids))
    except SourceError as error:
        return Missing(error.sentence)
    return Refused(len(ids), tuple(trace_id for trace_id, is_lost in zip(ids, gone, strict=True) if is_lost))
