"""The auth metrics' series and labels, as Prometheus has them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable

from app.doctor.facts import Metric, Missing
from app.errors import SourceError
from app.investigation.labels import LabelMap
from app.sources import promql
from app.sources.prometheus import PrometheusClient
from app.sources.values import Series

_AT_ONCE = 4
_MOST_METRICS = 8
_MOST_LABELS = 16
_QUIET = frozenset({"__name__", "job", "instance", "le"})
_GENERATED = r"traces_span_?metrics_(calls_total|latency_bucket|duration_[a-z]+_bucket)"  # by Tempo or a Collector's default
_OVERFLOW = "otel_metric_overflow"


def _names(labels: LabelMap) -> str:
    """A pattern of the names of counters and histograms that count auth checks."""
    known = sorted({counter.metric for counter in labels.counters} | set(labels.metrics))
    return "|".join([*(f"{re.escape(name)}(_total|_bucket)?" for name in known), _GENERATED])


async def metrics(prometheus: PrometheusClient, labels: LabelMap, start_ns: int, end_ns: int) -> tuple[Metric, ...] | Missing:
    """Each auth metric with its series now and at the window's start, and its labels by how many values they have."""
    selector = f"{{__name__=~{promql.quote(_names(labels))}}}"
    try:
        answer = await prometheus.query(f"count by (__name__) ({selector})", end_ns)
        before = await prometheus.query(f"count by (__name__) ({selector})", start_ns)
        now = _by_name(answer.series)
        then = _by_name(before.series)
        found = sorted(now.items(), key=lambda item: (-item[1], item[0]))[:_MOST_METRICS]
        slots = asyncio.Semaphore(_AT_ONCE)
        looked = [_metric(prometheus, slots, name, count, then.get(name, 0), start_ns, end_ns) for name, count in found]
        return tuple(await asyncio.gather(*looked))
    except SourceError as error:
        return Missing(error.sentence)


async def _metric(
    prometheus: PrometheusClient, slots: asyncio.Semaphore, name: str, series: int, before: int, start_ns: int, end_ns: int
) -> Metric:
    async with slots:
        names = await prometheus.labels([name], start_ns=start_ns, end_ns=end_ns)

    async def values(label: str) -> tuple[str, int]:
        async with slots:
            answer = await prometheus.query(f"count(count by ({label}) ({name}))", end_ns)
        return label, round(answer.series[0].samples[-1].value) if answer.series else 0

    wanted = [label for label in names if label not in _QUIET and label != _OVERFLOW and label.isidentifier()][:_MOST_LABELS]
    counts = await asyncio.gather(*(values(label) for label in wanted))
    overflow = False
    if _OVERFLOW in names:
        async with slots:
            overflow = bool((await prometheus.query(f'count({name}{{{_OVERFLOW}="true"}})', end_ns)).series)
    return Metric(name, series, before, tuple(sorted(counts, key=lambda item: (-item[1], item[0]))), overflow)


def _by_name(series: Iterable[Series]) -> dict[str, int]:
    return {one.labels.get("__name__", ""): round(one.samples[-1].value) for one in series if one.samples}
