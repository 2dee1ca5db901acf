"""Metrics queries: spans to series over time, as Tempo 3.0 counts them.

    series = SeriesBuilder(query, Steps.aligned(start_ns, end_ns, step_ns))
    for trace in traces:
        for spanset in series.matcher.match(trace):
            series.observe(spanset.rows)
    series.result()

A span counts where it began. A sample covers the step before its time, the time itself included: (t - step, t].
Durations become seconds. Quantiles are worked out from buckets that double, so they are as coarse as Tempo's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from app.errors import InvalidInput
from app.times import MILLISECOND, SECOND
from app.traceql.conditions import of_pipeline, rewritten
from app.traceql.evaluate import compiled, test
from app.traceql.fetch import Fetch, Row
from app.traceql.match import Matcher
from app.traceql.nodes import (
    Attribute,
    BottomK,
    Compare,
    Field,
    Intrinsic,
    Measure,
    OverTime,
    Pipeline,
    Query,
    Scope,
    SeriesFilter,
    TopK,
)
from app.traceql.values import Duration, Value, encode
from app.traceql.write import field as field_name

MAX_STEPS = 10_000
MAX_EXEMPLARS = 100
_PER_STEP = 2  # exemplars of one series

Labels: TypeAlias = "tuple[tuple[str, Value], ...]"
_NAN = math.nan


@dataclass(frozen=True, slots=True)
class Steps:
    """The time axis: `count` samples after `start_ns`, one each `step_ns`. An instant query is one long step."""

    start_ns: int
    step_ns: int
    count: int

    @classmethod
    def aligned(cls, start_ns: int, end_ns: int, step_ns: int) -> Steps:
        """The axis of a range query: whole steps around the range, and one more before it.

        Errors: InvalidInput for a range or step that makes none, or too many.
        """
        if step_ns <= 0 or end_ns <= start_ns:
            raise InvalidInput("A range needs a start before its end and a step greater than 0.")
        first = start_ns - start_ns % step_ns - step_ns
        last = end_ns + -end_ns % step_ns
        count = (last - first) // step_ns
        if count > MAX_STEPS + 2:
            raise InvalidInput(f"The step is too small for the range: at most {MAX_STEPS} samples.")
        return cls(first, step_ns, count)

    @classmethod
    def instant(cls, start_ns: int, end_ns: int) -> Steps:
        if end_ns <= start_ns:
            raise InvalidInput("A range needs a start before its end.")
        return cls(start_ns, end_ns - start_ns, 1)

    def place(self, ns: int) -> int:
        """The sample that a moment belongs to, -1 for none."""
        offset = ns - self.start_ns
        place = (offset - 1) // self.step_ns
        return place if offset > 0 and place < self.count else -1

    def time_ms(self, place: int) -> int:
        return (self.start_ns + (place + 1) * self.step_ns) // MILLISECOND


def default_step(start_ns: int, end_ns: int) -> int:
    """A step for about 240 samples, in steps of five seconds, or of one."""
    wanted = (end_ns - start_ns) // 240
    coarse = wanted - wanted % (5 * SECOND)
    return max(SECOND, coarse if coarse >= 5 * SECOND else wanted - wanted % SECOND)


@dataclass(slots=True)
class Exemplar:
    labels: Labels
    value: float
    time_ms: int


@dataclass(slots=True)
class Series:
    """NaN among the values is a sample that is not there."""

    labels: Labels
    values: list[float]
    exemplars: list[Exemplar] = field(default_factory=list)


@dataclass(slots=True)
class _Group:
    values: list[float]
    sums: list[float] = field(default_factory=list)
    buckets: list[dict[float, int]] = field(default_factory=list)
    exemplars: list[tuple[int, float, Exemplar]] = field(default_factory=list)


class SeriesBuilder:
    """Collects the spans of one metrics query. Errors: InvalidInput where the query has no metrics."""

    def __init__(self, query: Query, steps: Steps, *, exemplars: int = MAX_EXEMPLARS) -> None:
        if query.metrics is None:
            raise InvalidInput("This is not a metrics query: it ends without rate() or another function over time.")
        self.query = query
        self.steps = steps
        self._exemplars_left = exemplars
        if isinstance(query.metrics, Compare):
            self._comparison: _Comparison | None = _Comparison(query.metrics, steps)
            self.matcher = Matcher(query)
        else:
            self._comparison = None
            self._metrics: OverTime = query.metrics
            of = (query.metrics.of,) if query.metrics.of is not None else ()
            self.matcher = Matcher(query, also_read=(*query.metrics.by, *of))
            self._groups: dict[Any, tuple[list[Value], _Group]] = {}
            self._add = _ADDERS[query.metrics.measure]

    def observe(self, rows: Iterable[Row]) -> None:
        """Count the spans of one set of spans of a trace."""
        sampled = False
        for row in rows:
            place = self.steps.place(row.span.start_ns)
            if place < 0:
                continue
            if self._comparison is not None:
                self._comparison.observe(row, place)
                continue
            row = self.matcher.completed(row)
            group = self._group([_lookup(row, by) for by in self._metrics.by])
            value = self._measured(row)
            if not self._add(group, place, value):
                continue
            if not sampled and self._exemplars_left > 0:
                sampled = self._keep(group, place, row, value)

    def _group(self, values: list[Value]) -> _Group:
        key = tuple((type(value), tuple(value) if isinstance(value, list) else value) for value in values)
        found = self._groups.get(key)
        if found is None:
            count = self.steps.count
            group = _Group([_NAN] * count)
            if self._metrics.measure in (Measure.RATE, Measure.COUNT):
                group.values = [0.0] * count
            elif self._metrics.measure is Measure.AVG:
                group.sums = [0.0] * count
            elif self._metrics.measure in (Measure.HISTOGRAM, Measure.QUANTILE):
                group.buckets = [{} for _ in range(count)]
            found = self._groups[key] = (values, group)
        return found[1]

    def _measured(self, row: Row) -> float:
        of = self._metrics.of
        if of is None:
            return _NAN
        value = Duration(row.span.duration_ns) if of is Intrinsic.DURATION else _lookup(row, of)
        if self._metrics.measure in (Measure.HISTOGRAM, Measure.QUANTILE):
            return _bucket(value)
        return _number(value)

    def _keep(self, group: _Group, place: int, row: Row, value: float) -> bool:
        if sum(kept == place for kept, _, _ in group.exemplars) >= _PER_STEP:
            return False
        shown = self.matcher.shown(row)
        labels = [(field_name(f), value) for f, value in shown.items() if f is not Intrinsic.TRACE_ID]
        labels.append(("trace:id", row.trace.trace_id.lstrip("0")))
        own = _number(Duration(row.span.duration_ns) if self._metrics.of is Intrinsic.DURATION else value)
        exemplar = Exemplar(tuple(labels), own, row.span.start_ns // MILLISECOND)
        group.exemplars.append((place, value, exemplar))
        self._exemplars_left -= 1
        return True

    def result(self) -> list[Series]:
        series = self._comparison.result() if self._comparison is not None else self._series()
        for stage in self.query.second:
            match stage:
                case TopK(limit):
                    series = _ranked(series, limit, highest=True)
                case BottomK(limit):
                    series = _ranked(series, limit, highest=False)
                case SeriesFilter():
                    series = _filtered(series, stage)
        return [one for one in series if self._comparison is not None or any(not math.isnan(v) for v in one.values)]

    def _series(self) -> list[Series]:
        if not self._metrics.by and not self._groups:
            self._group([])  # a query without groups has its one series also when nothing was found
        out: list[Series] = []
        for values, group in self._groups.values():
            labels = self._labels(values)
            match self._metrics.measure:
                case Measure.RATE:
                    per_second = SECOND / self.steps.step_ns
                    out.append(_counted(labels, [value * per_second for value in group.values], group))
                case Measure.COUNT:
                    out.append(_counted(labels, group.values, group))
                case Measure.HISTOGRAM:
                    out += self._histogram(labels, group)
                case Measure.QUANTILE:
                    out += self._quantiles(labels, group)
                case _:
                    out.append(Series(labels, group.values, [exemplar for _, _, exemplar in group.exemplars]))
        return out

    def _labels(self, values: list[Value]) -> Labels:
        """Groups by what has a value; a span without any is in the group "nil" of the first name."""
        if not self._metrics.by:
            bucketed = self._metrics.measure in (Measure.HISTOGRAM, Measure.QUANTILE)
            return () if bucketed else (("__name__", self._metrics.measure.value),)
        names = [field_name(by) for by in self._metrics.by]
        labels = tuple((name, value) for name, value in zip(names, values, strict=True) if value is not None)
        return labels or ((names[0], None),)

    def _histogram(self, labels: Labels, group: _Group) -> list[Series]:
        bounds = sorted({bound for counts in group.buckets for bound in counts})
        out = []
        for bound in bounds:
            values = [float(counts.get(bound, 0)) for counts in group.buckets]
            exemplars = [_showing(e, values[place]) for place, of, e in group.exemplars if of == bound]
            out.append(Series((*labels, ("__bucket", bound)), values, exemplars))
        return out

    def _quantiles(self, labels: Labels, group: _Group) -> list[Series]:
        quantiles = self._metrics.quantiles
        total: dict[float, int] = {}
        for counts in group.buckets:
            for bound, count in counts.items():
                total[bound] = total.get(bound, 0) + count
        overall = [quantile(q, total) for q in quantiles]
        out = [Series((*labels, ("p", q)), [quantile(q, counts) for counts in group.buckets]) for q in quantiles]
        for _, _, exemplar in group.exemplars:
            nearest = min(range(len(overall)), key=lambda place: abs(overall[place] - exemplar.value))
            out[nearest].exemplars.append(exemplar)
        return out


def _counted(labels: Labels, values: list[float], group: _Group) -> Series:
    return Series(labels, values, [_showing(e, values[place]) for place, _, e in group.exemplars])


def _showing(exemplar: Exemplar, value: float) -> Exemplar:
    """An exemplar of a count shows the count."""
    return Exemplar(exemplar.labels, value, exemplar.time_ms)


def _lookup(row: Row, wanted: Field) -> Value:
    """Groups and measures look for an attribute without scope on the span and its resource only."""
    if isinstance(wanted, Attribute) and wanted.scope is Scope.ANY:
        for scope in (Scope.SPAN, Scope.RESOURCE):
            value = row.read(Attribute(wanted.name, scope))
            if value is not None:
                return value
        return None
    return row.read(wanted)


def _number(value: Value) -> float:
    if isinstance(value, Duration):
        return value / SECOND
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else _NAN


def _bucket(value: Value) -> float:
    """The upper bound of the bucket that doubles; NaN for what is too small to have one, or is no whole number."""
    if type(value) not in (int, Duration) or value < 2:  # type: ignore[operator]
        return _NAN
    bound = float(2 ** math.ceil(math.log2(value)))  # type: ignore[arg-type]
    return bound / SECOND if isinstance(value, Duration) else bound


def quantile(q: float, buckets: dict[float, int]) -> float:
    """A quantile from counts by upper bound, interpolated between bounds on their logarithms; 0 without any."""
    total = sum(buckets.values())
    if not total:
        return 0.0
    wanted = max(1, math.ceil(q * total))
    seen, previous = 0, 0.0
    bound = 0.0
    for bound in sorted(buckets):
        count = buckets[bound]
        if seen + count > wanted:
            break
        seen += count
        if seen == wanted:
            return bound
        previous = bound
    highest = math.log2(bound)
    lowest = math.log2(previous) if previous else highest - 1
    return float(2 ** (lowest + (highest - lowest) * (wanted - seen) / buckets[bound]))


# How a measure takes in one span: True where the span counts.
Adder: TypeAlias = Callable[[_Group, int, float], bool]


def _count(group: _Group, place: int, value: float) -> bool:
    group.values[place] += 1
    return True


def _folding(fold: Callable[[float, float], float]) -> Adder:
    def add(group: _Group, place: int, value: float) -> bool:
        if math.isnan(value):
            return False
        known = group.values[place]
        group.values[place] = value if math.isnan(known) else fold(known, value)
        return True

    return add


def _average(group: _Group, place: int, value: float) -> bool:
    """`sums` holds how many, `values` the mean so far: no sum grows past what a float keeps exact."""
    if math.isnan(value):
        return False
    group.sums[place] += 1
    mean = 0.0 if math.isnan(group.values[place]) else group.values[place]
    group.values[place] = mean + (value - mean) / group.sums[place]
    return True


def _into_buckets(group: _Group, place: int, value: float) -> bool:
    if math.isnan(value):
        return False
    counts = group.buckets[place]
    counts[value] = counts.get(value, 0) + 1
    return True


_ADDERS: dict[Measure, Adder] = {
    Measure.RATE: _count,
    Measure.COUNT: _count,
    Measure.MIN: _folding(min),
    Measure.MAX: _folding(max),
    Measure.SUM: _folding(lambda a, b: a + b),
    Measure.AVG: _average,
    Measure.HISTOGRAM: _into_buckets,
    Measure.QUANTILE: _into_buckets,
}


# ------------------------------------------------------------------------------------------------------ second stage


def _ranked(series: Sequence[Series], limit: int, *, highest: bool) -> list[Series]:
    """At each time the `limit` highest (or lowest) samples; the others are taken out."""
    kept = [Series(one.labels, [_NAN] * len(one.values), one.exemplars) for one in series]
    # Where values are equal, the text that comes first stands higher, and the greater number; Tempo's heaps do so.
    order = sorted(range(len(series)), key=lambda place: _rank(series[place].labels), reverse=not highest)
    for time in range(max((len(one.values) for one in series), default=0)):
        present = [place for place in order if not math.isnan(series[place].values[time])]
        present.sort(key=lambda place: series[place].values[time], reverse=highest)
        for place in present[:limit]:
            kept[place].values[time] = series[place].values[time]
    return kept


def _rank(labels: Labels) -> list[tuple[str, str, float]]:
    return [
        (value if isinstance(value, str) else "nil" if value is None else "", name, -_number(value) if _is_number(value) else 0)
        for name, value in labels
    ]


def _is_number(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _filtered(series: Sequence[Series], stage: SeriesFilter) -> list[Series]:
    holds = test(stage.op, _number(stage.value.value))
    return [Series(one.labels, [value if holds(value) else _NAN for value in one.values], one.exemplars) for one in series]


# ----------------------------------------------------------------------------------------------------------- compare


class _Comparison:
    """compare(): how often each value of each attribute occurs among the selected spans, and among the others."""

    def __init__(self, compare: Compare, steps: Steps) -> None:
        self._compare = compare
        self._steps = steps
        expression = compare.selection.expression
        # Nothing is filtered beforehand here: every attribute is read as it is.
        conditions = of_pipeline(Pipeline((compare.selection,)))
        self._read = Fetch.of_fields([condition.field for condition in conditions.found])
        self._selects = None if expression is None else compiled(rewritten(expression))
        self._counts: dict[str, dict[str, dict[Any, tuple[Value, list[float]]]]] = {"baseline": {}, "selection": {}}

    def observe(self, row: Row, place: int) -> None:
        side = self._counts["selection" if self._selected(row) else "baseline"]
        for name, value in _everything(row):
            values = side.setdefault(name, {})
            key = (type(value), tuple(value) if isinstance(value, list) else value)
            if key not in values:
                values[key] = (value, [0.0] * self._steps.count)
            values[key][1][place] += 1

    def _selected(self, row: Row) -> bool:
        compare = self._compare
        if compare.start_ns and compare.end_ns and not compare.start_ns <= row.span.start_ns < compare.end_ns:
            return False
        if self._selects is None:
            return True
        raw = Row(row.trace, row.place, self._read.read(row.trace, row.place))
        return self._selects(raw.read) is True

    def result(self) -> list[Series]:
        out: list[Series] = []
        crowded: dict[str, None] = {}
        for side, attributes in self._counts.items():
            for name, values in attributes.items():
                ranked = sorted(values.values(), key=lambda pair: (-sum(pair[1]), encode(pair[0])))
                for value, counts in ranked[: self._compare.top]:
                    out.append(Series((("__meta_type", side), (name, value)), counts))
                if len(ranked) > self._compare.top:
                    crowded[name] = None
        for side, attributes in self._counts.items():
            for name, values in attributes.items():
                totals = [sum(column) for column in zip(*(counts for _, counts in values.values()), strict=True)]
                out.append(Series((("__meta_type", f"{side}_total"), (name, None)), totals))
        out += [Series((("__meta_error", "__too_many_values__"), (name, None)), []) for name in crowded]
        return out


def _everything(row: Row) -> Iterable[tuple[str, Value]]:
    span = row.span
    yield "name", span.name
    yield "status", span.status
    yield "statusMessage", span.status_message
    yield "kind", span.kind
    yield "rootName", row.trace.root_name
    yield "rootServiceName", row.trace.root_service
    for scope, attributes in ((Scope.SPAN, span.attributes), (Scope.RESOURCE, span.resource.attributes)):
        for name, value in attributes.items():
            if isinstance(value, (str, int, float, bool)):
                yield field_name(Attribute(name, scope)), value
