"""Prometheus' JSON, typed, and what it becomes. Pure.

Times are floats of seconds, exact to the millisecond; values are strings, because JSON has no NaN. A series of native
histograms has `histogram(s)` in place of `value(s)`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Generic, TypeVar

import msgspec

from app.errors import InvalidInput
from app.sources.fingerprint import fingerprint
from app.sources.values import (
    AlertState,
    Exemplar,
    FiringAlert,
    QueryResult,
    Rule,
    Sample,
    Series,
    Target,
)
from app.times import MILLISECOND, UnixNanos, parse_iso
from app.traces import ids

T = TypeVar("T")
_MOST_WARNINGS = 20
_LATEST_S = 9e9  # beyond it, nanoseconds no longer fit 64 bits


class Envelope(msgspec.Struct, Generic[T], rename="camel"):
    data: T
    status: str = ""
    warnings: list[str] | None = None
    infos: list[str] | None = None

    @property
    def remarks(self) -> list[str]:
        return [text[:500] for text in (*(self.warnings or ()), *(self.infos or ()))][:_MOST_WARNINGS]


class ErrorEnvelope(msgspec.Struct, rename="camel"):
    error_type: str = ""
    error: str = ""


Point = tuple[float, str]


class _InstantSeries(msgspec.Struct, gc=False):
    metric: dict[str, str]
    value: Point | None = None
    histogram: msgspec.Raw = msgspec.Raw()


class _RangeSeries(msgspec.Struct, gc=False):
    metric: dict[str, str]
    values: list[Point] | None = None
    histograms: msgspec.Raw = msgspec.Raw()


class _Vector(msgspec.Struct, tag_field="resultType", tag="vector"):
    result: list[_InstantSeries]


class _Matrix(msgspec.Struct, tag_field="resultType", tag="matrix"):
    result: list[_RangeSeries]


class _Scalar(msgspec.Struct, tag_field="resultType", tag="scalar"):
    result: Point


class _Text(msgspec.Struct, tag_field="resultType", tag="string"):
    result: Point


QueryData = _Vector | _Matrix | _Scalar | _Text


def query_result(envelope: Envelope[QueryData]) -> QueryResult:
    """Series with their samples, oldest first; a scalar is a series without labels.

    Errors: ValueError for a value that is not a number; InvalidInput for an expression that yields a text.
    """
    data = envelope.data
    remarks = envelope.remarks
    histograms = 0
    if isinstance(data, _Text):
        raise InvalidInput("The expression yields a text, not numbers.", field="query")
    if isinstance(data, _Scalar):
        return QueryResult((Series({}, (_sample(data.result),)),), tuple(remarks))
    series = []
    for row in data.result:
        if isinstance(row, _InstantSeries):
            points = [row.value] if row.value is not None else []
            histograms += bool(bytes(row.histogram))
        else:
            points = row.values or []
            histograms += bool(bytes(row.histograms))
        series.append(Series(row.metric, tuple([_sample(point) for point in points])))
    if histograms:
        remarks.append(f"{histograms} series hold native histograms, whose samples are not shown.")
    return QueryResult(tuple(series), tuple(remarks))


def instant(seconds: float) -> UnixNanos:
    """Prometheus' float of seconds; below the millisecond it is only noise.

    Errors: ValueError for what is no time that a database holds.
    """
    if not abs(seconds) < _LATEST_S:
        raise ValueError(f"{seconds} is not a time in seconds")
    return UnixNanos(round(seconds * 1000) * MILLISECOND)


def _sample(point: Point) -> Sample:
    return Sample(instant(point[0]), float(point[1]))


# ------------------------------------------------------------------------------------------------------- exemplars


class _Exemplar(msgspec.Struct):
    labels: dict[str, str]
    value: str
    timestamp: float


class ExemplarSeries(msgspec.Struct, rename="camel"):
    series_labels: dict[str, str]
    exemplars: list[_Exemplar]


_SPAN_LABELS = frozenset({"span_id", "spanid", "span.id"})


def exemplars(data: list[ExemplarSeries], trace_labels: Collection[str]) -> tuple[Exemplar, ...]:
    """Exemplars that name a trace, oldest first. Tempo's own generator strips leading zeros of the id.

    Errors: ValueError for a value or time that is none.
    """
    wanted = {label.casefold() for label in trace_labels}
    found = []
    for series in data:
        for exemplar in series.exemplars:
            folded = {key.casefold(): value for key, value in exemplar.labels.items()}
            trace_id = next((folded[key] for key in folded if key in wanted), "")
            span_id = next((folded[key] for key in folded if key in _SPAN_LABELS), "")
            try:
                padded = ids.trace_id(trace_id)
            except InvalidInput:
                continue
            found.append(
                Exemplar(
                    trace_id=padded,
                    span_id=span_id.lower().zfill(16) if span_id else "",
                    value=float(exemplar.value),
                    time_ns=instant(exemplar.timestamp),
                    labels=exemplar.labels,
                    series=series.series_labels,
                )
            )
    return tuple(sorted(found, key=lambda exemplar: exemplar.time_ns))


# ------------------------------------------------------------------------------------------------ rules and alerts


class _Rule(msgspec.Struct, rename="camel"):
    name: str
    query: str
    type: str = ""
    state: str = ""
    duration: float = 0.0
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    health: str = ""
    last_error: str = ""


class _Group(msgspec.Struct):
    name: str
    file: str = ""
    interval: float = 0.0
    rules: list[_Rule] | None = None


class Groups(msgspec.Struct):
    groups: list[_Group] | None = None

    def as_rules(self) -> tuple[Rule, ...]:
        """In order of files, groups and rules: a name may occur more than once."""
        return tuple(
            Rule(
                kind=rule.type,
                name=rule.name,
                query=rule.query,
                group=group.name,
                file=group.file,
                interval_s=group.interval,
                for_s=rule.duration,
                labels=rule.labels or {},
                annotations=rule.annotations or {},
                state=rule.state,
                health=rule.health,
                last_error=rule.last_error,
            )
            for group in self.groups or ()
            for rule in group.rules or ()
        )


class _Alert(msgspec.Struct, rename="camel"):
    labels: dict[str, str]
    active_at: str
    annotations: dict[str, str] | None = None
    state: str = ""
    value: str = ""


class Alerts(msgspec.Struct):
    alerts: list[_Alert] | None = None

    def as_alerts(self) -> tuple[FiringAlert, ...]:
        """Errors: InvalidInput for a time that is none."""
        return tuple(
            FiringAlert(
                source="prometheus",
                labels=alert.labels,
                annotations=alert.annotations or {},
                state=AlertState.FIRING if alert.state == "firing" else AlertState.PENDING,
                started_ns=parse_iso(alert.active_at),
                value=_number(alert.value),
                fingerprint=fingerprint(alert.labels),
            )
            for alert in self.alerts or ()
        )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


# ---------------------------------------------------------------------------------------------------------- status


class _Target(msgspec.Struct, rename="camel"):
    labels: dict[str, str]
    health: str = ""
    last_error: str = ""
    last_scrape: str = ""


class Targets(msgspec.Struct, rename="camel"):
    active_targets: list[_Target] | None = None

    def as_targets(self) -> tuple[Target, ...]:
        """A target never scraped has the time 0. Errors: InvalidInput for a time that is none."""
        return tuple(
            Target(target.labels, target.health, target.last_error[:500], _scrape_time(target.last_scrape))
            for target in self.active_targets or ()
        )


class _Receiver(msgspec.Struct):
    url: str = ""


class Alertmanagers(msgspec.Struct, rename="camel"):
    active_alertmanagers: list[_Receiver] | None = None


class RuntimeInfo(msgspec.Struct, rename="camel"):
    storage_retention: str = ""


def _scrape_time(text: str) -> UnixNanos:
    return UnixNanos(max(0, parse_iso(text))) if text else UnixNanos(0)


class Build(msgspec.Struct):
    version: str = ""
    revision: str = ""
    application: str = ""  # Mimir names itself here
