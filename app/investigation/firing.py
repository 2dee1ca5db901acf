"""When all alerts of a Prometheus were pending and firing: its raw samples, read in chunks and kept for a while.

A page asks for a day of history every few seconds. The day is cut at fixed hours: chunks that lie in the past do not change
and are asked for once in a while, only the last one each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence

from cachetools import TTLCache

from app.errors import SourceError
from app.sources import history, promql
from app.sources.prometheus import PrometheusClient
from app.sources.values import AlertHistory, Rule, Sample, Series
from app.times import HOUR, MILLISECOND, MINUTE, SECOND, UnixNanos

_CHUNK = 6 * HOUR
_LEAD = 15 * MINUTE  # looked at before the window, so that most stretches have their true start
_SETTLED = 10 * MINUTE  # samples this old do not change any more, unless somebody back-fills them
_KEEP_S = 600
_MOST_SAMPLES = 500_000  # of kept chunks together
_AT_ONCE = 4
_SELECTOR = '{__name__=~"ALERTS|ALERTS_FOR_STATE"}'

Labels = tuple[tuple[str, str], ...]
Chunk = dict[Labels, list[tuple[int, float]]]


class FiringHistory:
    """Reads and keeps; one per Prometheus."""

    def __init__(self, prometheus: PrometheusClient) -> None:
        self._prometheus = prometheus
        self._chunks: TTLCache[int, Chunk] = TTLCache(_MOST_SAMPLES, _KEEP_S, getsizeof=_size)
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def between(self, start_ns: int, end_ns: int, rules: Awaitable[Sequence[Rule]]) -> tuple[AlertHistory, ...]:
        """The stretches of every alert instance that touch the window.

        rules: their intervals are believed where samples are too few to tell; asked for at the same time as the samples.
        Errors: SourceError.
        """
        seen_from = max(0, start_ns - _LEAD)
        begins = range(seen_from // _CHUNK * _CHUNK, end_ns, _CHUNK)
        parts = await asyncio.gather(*(self._chunk(begin, end_ns) for begin in begins))
        found: list[AlertHistory] = []
        by_name = _by_alert(parts, seen_from, end_ns)
        known = await rules
        runs = {name: _runs(name, series, known) for name, series in by_name.items()}
        gaps = [gap for interval, found_runs in runs.values() for gap in history.gaps(found_runs.values(), interval)]
        alive = await self._alive(gaps, max((interval for interval, _ in runs.values()), default=MINUTE), end_ns)
        for interval, found_runs in runs.values():
            found += history.histories(
                found_runs,
                start_ns=start_ns,
                end_ns=end_ns,
                seen_from_ns=seen_from,
                interval_ns=interval,
                alive_ns=alive,
            )
        return tuple(found)

    async def _chunk(self, begin_ns: int, now_ns: int) -> Chunk:
        kept = self._chunks.get(begin_ns)
        if kept is not None:
            return kept
        until = min(begin_ns + _CHUNK, now_ns)
        # A millisecond more: since Prometheus 3 a range leaves out its first instant.
        window = promql.duration(until - begin_ns + MILLISECOND)
        async with self._slots:
            answer = await self._prometheus.query(f"{_SELECTOR}[{window}]", until)
        chunk: Chunk = {}
        for series in answer.series:
            points = chunk.setdefault(tuple(sorted(series.labels.items())), [])
            points += [(sample.time_ns, sample.value) for sample in series.samples]
        if until == begin_ns + _CHUNK and until < now_ns - _SETTLED and _size(chunk) < _MOST_SAMPLES // 4:
            self._chunks[begin_ns] = chunk
        return chunk

    async def _alive(self, gaps: Sequence[tuple[int, int]], interval_ns: int, end_ns: int) -> tuple[int, ...]:
        """When the evaluator was at work around the gaps: without that, an outage reads as an end."""
        if not gaps:
            return ()
        start = min(begin for begin, _ in gaps) - 10 * interval_ns
        until = min(max(end for _, end in gaps) + 10 * interval_ns, end_ns)
        step = max(interval_ns, (until - start) // (4 * self._prometheus.settings.max_points))
        window = promql.duration(step)
        for asked in (
            f"max(max_over_time(prometheus_rule_group_last_evaluation_timestamp_seconds[{window}]))",
            f"count(count_over_time(up[{window}]))",
        ):
            try:
                answer = await self._prometheus.query_range(asked, start, until, step / SECOND)
            except SourceError:
                return ()
            times = {
                int(sample.value * 1000) * MILLISECOND if asked.startswith("max") else sample.time_ns
                for series in answer.series
                for sample in series.samples
            }
            if times:
                return tuple(sorted(times))
        return ()


def _size(chunk: Chunk) -> int:
    return 1 + sum(len(points) for points in chunk.values())


def _by_alert(parts: Iterable[Chunk], seen_from: int, end_ns: int) -> dict[str, list[Series]]:
    """Chunks one after another as series, by alert name; a sample that two of them hold counts once."""
    whole: dict[Labels, dict[int, float]] = {}
    for part in parts:
        for key, points in part.items():
            whole.setdefault(key, {}).update((time, value) for time, value in points if seen_from <= time <= end_ns)
    by_name: dict[str, list[Series]] = {}
    for key, values in whole.items():
        labels = dict(key)
        samples = tuple(Sample(UnixNanos(time), values[time]) for time in sorted(values))
        by_name.setdefault(labels.get("alertname", ""), []).append(Series(labels, samples))
    return by_name


def _runs(name: str, series: Sequence[Series], rules: Sequence[Rule]) -> tuple[int, dict[history.Labels, list[history.Run]]]:
    """The evaluation interval and the runs of one alert's instances."""
    own = {round(rule.interval_s * SECOND) for rule in rules if rule.kind == "alerting" and rule.name == name}
    interval = history.evaluation_ns(series, own.pop() if len(own) == 1 else None)
    return interval, history.runs(series, interval)
