"""The metric that tripped an alert: what to ask for, and which of the answer's series are the alert's own."""

from __future__ import annotations

import asyncio
import enum
import math
from collections.abc import Mapping, Sequence

import msgspec

from app.errors import SourceError
from app.investigation import promql
from app.investigation.alerts import Alert, Episode
from app.investigation.promql import Threshold
from app.sources.prometheus import PrometheusClient
from app.sources.promql import duration
from app.sources.values import AlertState, Exemplar, Interval, Sample, Series
from app.times import HOUR, MINUTE, SECOND, UnixNanos

_POINTS = 240
_RINGS = 60
_FINEST = 15 * SECOND
_LONGEST_PAD = 6 * HOUR


class Range(enum.StrEnum):
    AROUND = "around"
    HOUR = "1h"
    DAY = "24h"


class Measure(msgspec.Struct, frozen=True):
    """What the chart shows.

    query:     the PromQL that was asked.
    note:      a sentence where the picture needs one: what it cannot show.
    exemplars: placed on the curve at their time, since their own value is of another unit; of many, some spread over time.
    """

    query: str
    series: tuple[Series, ...]
    threshold: Threshold | None
    intervals: tuple[Interval, ...]
    exemplars: tuple[Exemplar, ...]
    window: tuple[UnixNanos, UnixNanos]
    note: str = ""


def window(episode: Episode, span: Range, now_ns: int) -> tuple[UnixNanos, UnixNanos]:
    """The stretch to draw. It ends a little after the alert did, so that the curve's return is seen."""
    end = episode.ended_ns if episode.ended_ns is not None else now_ns
    if span is Range.AROUND:
        pad = min(_LONGEST_PAD, max(15 * MINUTE, (end - episode.started_ns) // 2))
        return UnixNanos(max(0, episode.started_ns - pad)), UnixNanos(min(now_ns, end + pad))
    length = HOUR if span is Range.HOUR else 24 * HOUR
    until = min(now_ns, end + length // 4)
    return UnixNanos(max(0, until - length)), UnixNanos(until)


def own_labels(alert: Alert) -> dict[str, str]:
    """Labels that the expression's result carries, without those that the rule adds."""
    added = alert.rule.labels if alert.rule else {}
    return {name: value for name, value in alert.labels.items() if name != "alertname" and name not in added}


async def measured(
    prometheus: PrometheusClient, alert: Alert, span: Range, *, now_ns: int, exemplars: Sequence[Exemplar] = ()
) -> Measure:
    """The alert's own series around it. Errors: SourceError."""
    begin, end = window(alert.episode, span, now_ns)
    if alert.rule is None:
        return Measure("", (), None, alert.intervals, (), (begin, end), "Prometheus did not tell the rule: no curve to draw.")
    reading = promql.read(alert.rule.query)
    subject, note = (reading.subject, "") if not reading.problem else (alert.rule.query, reading.problem)
    step_s = _step_s(end - begin)
    own = own_labels(alert)
    query = promql.narrow(subject, own) or subject
    series = _matching((await prometheus.query_range(query, begin, end, step_s)).series, own)
    if not series and query != subject:
        # A label that a series lacks in one of the selectors: ask for all and pick.
        query = subject
        series = _matching((await prometheus.query_range(query, begin, end, step_s)).series, own)
    if not series:
        note = note or "Prometheus has no values for it in this time."
    return Measure(
        query=query,
        series=series,
        threshold=reading.threshold,
        intervals=stretches(alert),
        exemplars=tuple(_on_curve(one, series) for one in _spread(exemplars, begin, end)) if series else (),
        window=(begin, end),
        note=note,
    )


async def peak(prometheus: PrometheusClient, alert: Alert) -> float | None:
    """The farthest value of an ended episode, in the direction in which the rule fires; None where it cannot be had."""
    episode = alert.episode
    if alert.rule is None or episode.ended_ns is None:
        return None
    reading = promql.read(alert.rule.query)
    if reading.problem:
        return None
    own = own_labels(alert)
    below = reading.threshold is not None and reading.threshold.operator in ("<", "<=")
    start = episode.fired_ns or episode.started_ns
    step = max(_FINEST, (episode.ended_ns - start) // _POINTS)
    inner = promql.narrow(reading.subject, own) or reading.subject
    asked = f"{'min' if below else 'max'}_over_time(({inner})[{duration(episode.ended_ns - start + step)}:{duration(step)}])"
    try:
        found = _matching((await prometheus.query(asked, episode.ended_ns)).series, own)
    except SourceError:
        return None
    values = [series.samples[-1].value for series in found if series.samples and math.isfinite(series.samples[-1].value)]
    return (min(values) if below else max(values)) if values else None


async def exemplars(
    prometheus: PrometheusClient, selectors: Sequence[str], start_ns: int, end_ns: int
) -> tuple[tuple[Exemplar, ...], bool | None]:
    """Exemplars of the series behind a rule, the oldest first, and whether the server keeps any. Errors: SourceError."""
    answers = await asyncio.gather(*(prometheus.query_exemplars(selector, start_ns, end_ns) for selector in selectors))
    found = {(one.trace_id, one.time_ns): one for answer in answers for one in answer.exemplars}
    storage = [answer.storage for answer in answers]
    kept = True if True in storage else (False if storage and all(one is False for one in storage) else None)
    return tuple(sorted(found.values(), key=lambda one: one.time_ns)), kept


def _step_s(length_ns: int) -> float:
    return max(_FINEST, -(-length_ns // _POINTS // SECOND) * SECOND) / SECOND


def _matching(series: Sequence[Series], own: Mapping[str, str]) -> tuple[Series, ...]:
    """Series that can be the alert's: none of their labels says otherwise."""
    return tuple(
        one for one in series if all(own.get(name) == value for name, value in one.labels.items() if name != "__name__")
    )


def _spread(exemplars: Sequence[Exemplar], begin: int, end: int) -> list[Exemplar]:
    """At most one in each of so many equal parts of the window: more would be one thick line."""
    width = max(1, (end - begin) // _RINGS)
    first_of: dict[int, Exemplar] = {}
    for one in exemplars:
        if begin <= one.time_ns <= end:
            first_of.setdefault((one.time_ns - begin) // width, one)
    return list(first_of.values())


def _on_curve(exemplar: Exemplar, series: Sequence[Series]) -> Exemplar:
    """The exemplar at the height of the nearest sample of the first curve."""
    nearest: Sample | None = min(series[0].samples, key=lambda sample: abs(sample.time_ns - exemplar.time_ns), default=None)
    return msgspec.structs.replace(exemplar, value=nearest.value if nearest else exemplar.value)


def stretches(alert: Alert) -> tuple[Interval, ...]:
    """Its pending and firing stretches, in order: the history's, and those of episodes that the history does not know."""
    found = list(alert.intervals)
    for episode in alert.episodes:
        at = episode.fired_ns if episode.fired_ns is not None else episode.started_ns
        if any(known.start_ns <= at and (known.end_ns is None or at <= known.end_ns) for known in alert.intervals):
            continue
        if episode.fired_ns is None:
            found.append(Interval(AlertState.PENDING, episode.started_ns, episode.ended_ns))
            continue
        if episode.fired_ns > episode.started_ns:
            found.append(Interval(AlertState.PENDING, episode.started_ns, episode.fired_ns))
        found.append(Interval(AlertState.FIRING, episode.fired_ns, episode.ended_ns))
    return tuple(sorted(found, key=lambda stretch: stretch.start_ns))
