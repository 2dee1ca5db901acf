"""Answers of Prometheus and Tempo to the figures of the panels. Pure.

A missing label reads "" here, as Prometheus has it; Tempo's word for it, `nil`, is not a name.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from app.sources.values import Sample, Series
from app.times import UnixNanos

LOGIN = "auth.login"
_NIL = "nil"
_SLICES = 256
# Fewer are no measure of what is usual.
FEWEST_USUAL = 20


class SourceRow(msgspec.Struct, frozen=True):
    """One source of refusals. succeeded: None where not every success is known (traces are sampled)."""

    source: str
    failed: int
    succeeded: int | None

    @property
    def share(self) -> float | None:
        """Of its decided checks, the part that was refused."""
        return None if self.succeeded is None else ratio(self.failed, self.succeeded)


class Point(msgspec.Struct, frozen=True):
    """Checks that ended in the step before `time_ns`. A check that broke decided nothing."""

    time_ns: UnixNanos
    succeeded: float
    failed: float
    broken: float

    @property
    def share(self) -> float | None:
        """Of the decided, the part that succeeded; None where nothing was decided."""
        return ratio(self.succeeded, self.failed)


class Success(msgspec.Struct, frozen=True):
    """Log-ins and all other checks over time; the points of both stand at the same times."""

    logins: tuple[Point, ...]
    others: tuple[Point, ...]

    @property
    def is_empty(self) -> bool:
        return not any(point.succeeded or point.failed or point.broken for point in (*self.logins, *self.others))


class Durations(msgspec.Struct, frozen=True):
    """Seconds. p50 and p99 are None where nothing was measured. Below `finest` the buckets tell nothing apart."""

    count: int
    p50: float | None
    p99: float | None
    finest: float = 0.0


class StepRow(msgspec.Struct, frozen=True):
    """How long one step takes. baseline: which earlier time `usual` is of, "" where there is none to hold it against."""

    step: str
    now: Durations
    usual: Durations | None
    baseline: str = ""

    @property
    def slower(self) -> float | None:
        """p99 against its baseline: 2.0 is twice as long."""
        if self.usual is None or not self.usual.p99 or self.now.p99 is None:
            return None
        return self.now.p99 / self.usual.p99


class NamesRow(msgspec.Struct, frozen=True):
    """How many different log-in names failed from one source.

    least:    so many at least.
    estimate: the most likely number, where only slices of the names are counted; None where the count is of names
              themselves, or all slices were met.
    """

    source: str
    least: int
    estimate: int | None = None


class RefusalRow(msgspec.Struct, frozen=True):
    service: str
    step: str
    failed: int


def ratio(part: float, rest: float) -> float | None:
    """part / (part + rest); None of nothing."""
    whole = part + rest
    return part / whole if whole > 0 else None


# ----------------------------------------------------------------------------------------------------------- sources


def sources_of_metrics(series: Iterable[Series]) -> tuple[SourceRow, ...]:
    """Sums by subnet and result, the most refused first."""
    by_source: dict[str, Counter[str]] = defaultdict(Counter)
    for one in series:
        by_source[one.labels.get("auth_client_subnet", "")][one.labels.get("auth_result", "")] += total(one)
    rows = [SourceRow(source, found["failure"], found["success"]) for source, found in by_source.items()]
    return _worst(rows)


def sources_of_traces(series: Iterable[Series], spellings: Sequence[str], most: int) -> tuple[SourceRow, ...]:
    """Sums by the address in any of its spellings; an address under two of them is one source."""
    failed: Counter[str] = Counter()
    for one in series:
        failed[_first(one.labels, spellings)] += total(one)
    return _worst([SourceRow(source, count, None) for source, count in failed.items()])[:most]


def _worst(rows: Iterable[SourceRow]) -> tuple[SourceRow, ...]:
    return tuple(sorted((row for row in rows if row.failed), key=lambda row: (-row.failed, row.source)))


# ----------------------------------------------------------------------------------------------------------- success


def success(series: Iterable[Series], step: str, result: str, times_ns: Sequence[UnixNanos]) -> Success:
    """Checks by step and result as two curves. step, result: the names of the labels.

    A time without a sample is a time without a check: nothing is drawn there.
    """
    sums: dict[bool, dict[UnixNanos, Counter[str]]] = {True: defaultdict(Counter), False: defaultdict(Counter)}
    for one in series:
        counts = sums[one.labels.get(step) == LOGIN]
        for sample in one.samples:
            if math.isfinite(sample.value):
                counts[sample.time_ns][one.labels.get(result, "")] += sample.value  # type: ignore[assignment]
    return Success(_points(sums[True], times_ns), _points(sums[False], times_ns))


def _points(counts: Mapping[UnixNanos, Counter[str]], times_ns: Sequence[UnixNanos]) -> tuple[Point, ...]:
    found = []
    for time_ns in times_ns:
        at = counts.get(time_ns, Counter())
        found.append(Point(time_ns, float(at["success"]), float(at["failure"]), float(at["error"])))
    return tuple(found)


def summed(points: Iterable[Point]) -> Point:
    """All points as one."""
    points = tuple(points)
    return Point(
        points[-1].time_ns if points else UnixNanos(0),
        sum(point.succeeded for point in points),
        sum(point.failed for point in points),
        sum(point.broken for point in points),
    )


# ----------------------------------------------------------------------------------------------------------- latency


class Bucket(msgspec.Struct, frozen=True):
    """So many checks took longer than `above_s` and at most `upto_s`."""

    above_s: float
    upto_s: float
    count: float


def buckets_of_metrics(series: Iterable[Series]) -> dict[str, tuple[Bucket, ...]]:
    """By step, from counts up to each bound `le`."""
    cumulative: dict[str, dict[float, float]] = defaultdict(dict)
    for one in series:
        bound = _bound(one.labels.get("le", ""))
        if bound is not None:
            at = cumulative[one.labels.get("span_name", "")]
            at[bound] = at.get(bound, 0.0) + _value(one)
    found: dict[str, tuple[Bucket, ...]] = {}
    for step, counts in cumulative.items():
        buckets, below_s, below = [], 0.0, 0.0
        for bound in sorted(counts):
            # Scrapes of several targets do not meet: a sum may dip by a little from one bound to the next.
            upto = max(below, counts[bound])
            buckets.append(Bucket(below_s, bound, upto - below))
            below_s, below = bound, upto
        found[step] = tuple(buckets)
    return found


def buckets_of_traces(series: Iterable[Series]) -> dict[str, tuple[Bucket, ...]]:
    """By step, from counts in buckets that double, each named by its upper bound."""
    found: dict[str, list[Bucket]] = defaultdict(list)
    for one in series:
        bound = _bound(one.labels.get("__bucket", ""))
        if bound:
            found[one.labels.get("name", "")].append(Bucket(bound / 2, bound, _value(one)))
    return {step: tuple(sorted(buckets, key=lambda b: b.upto_s)) for step, buckets in found.items()}


def durations(buckets: Sequence[Bucket]) -> Durations:
    count = round(sum(bucket.count for bucket in buckets))
    finest = buckets[0].upto_s if buckets and not buckets[0].above_s else 0.0
    return Durations(count, quantile(0.5, buckets), quantile(0.99, buckets), finest)


def quantile(q: float, buckets: Sequence[Bucket]) -> float | None:
    """The duration that a part q of the checks did not exceed, evenly spread within its bucket, as Prometheus has it.

    Beyond the last finite bound nothing is known but that bound. None of nothing.
    """
    whole = sum(bucket.count for bucket in buckets)
    if whole <= 0:
        return None
    rank, seen = q * whole, 0.0
    for bucket in buckets:
        if bucket.count and seen + bucket.count >= rank:
            if math.isinf(bucket.upto_s):
                return bucket.above_s
            return bucket.above_s + (bucket.upto_s - bucket.above_s) * (rank - seen) / bucket.count
        seen += bucket.count
    return buckets[-1].above_s


Histograms = Mapping[str, Sequence[Bucket]]


def against_baseline(now: Histograms, earlier: Iterable[tuple[str, Histograms]]) -> tuple[StepRow, ...]:
    """Each step with the first of the earlier times that measured it often enough; the busiest step first."""
    earlier = tuple(earlier)
    rows = []
    for step, buckets in now.items():
        own = durations(buckets)
        if own.count:
            rows.append(_against(step, own, earlier))
    return tuple(sorted(rows, key=lambda row: (-row.now.count, row.step)))


def _against(step: str, own: Durations, earlier: Iterable[tuple[str, Histograms]]) -> StepRow:
    for name, histograms in earlier:
        usual = durations(histograms.get(step, ()))
        if usual.count >= FEWEST_USUAL:
            return StepRow(step, own, usual, name)
    return StepRow(step, own, None)


# ------------------------------------------------------------------------------------------------------------- names


def names_of_metrics(series: Iterable[Series]) -> tuple[NamesRow, ...]:
    rows = [NamesRow(one.labels.get("auth_client_subnet", ""), total(one), estimate(total(one))) for one in series]
    return _most_names(rows)


def names_of_traces(
    series: Iterable[Series], spellings: Sequence[str], users: Sequence[str], most: int
) -> tuple[NamesRow, ...]:
    """Different names by source; spans that name nobody count for none."""
    names: dict[str, set[str]] = defaultdict(set)
    for one in series:
        user = _first(one.labels, users)
        if user and total(one):
            names[_first(one.labels, spellings)].add(user)
    return _most_names([NamesRow(source, len(found)) for source, found in names.items()])[:most]


def estimate(slices: int) -> int | None:
    """How many names most likely hit so many of 256 equal slices; None where all are hit, which any large number does."""
    return round(-_SLICES * math.log(1 - slices / _SLICES)) if 0 <= slices < _SLICES else None


def _most_names(rows: Iterable[NamesRow]) -> tuple[NamesRow, ...]:
    return tuple(sorted((row for row in rows if row.least), key=lambda row: (-row.least, row.source)))


# ---------------------------------------------------------------------------------------------------------- refusals


def refusals(series: Iterable[Series], service: str, step: str) -> tuple[RefusalRow, ...]:
    """By service and step, the most first. service, step: the names of the labels."""
    rows = [RefusalRow(_first(one.labels, (service,)), _first(one.labels, (step,)), total(one)) for one in series]
    return tuple(sorted((row for row in rows if row.failed), key=lambda row: (-row.failed, row.service, row.step)))


# ------------------------------------------------------------------------------------------------------------ values


def total(one: Series) -> int:
    """A count that increase() has extrapolated, as the whole number nearest to it."""
    return round(_value(one))


def added(parts: Iterable[Iterable[Series]]) -> tuple[Series, ...]:
    """Counts of adjacent times as one: a series for each set of labels, with all that was counted."""
    samples: dict[tuple[tuple[str, str], ...], list[Sample]] = defaultdict(list)
    for one in (one for part in parts for one in part):
        samples[tuple(sorted(one.labels.items()))] += one.samples
    return tuple(Series(dict(labels), tuple(found)) for labels, found in samples.items())


def _value(one: Series) -> float:
    return sum(sample.value for sample in one.samples if math.isfinite(sample.value))


def _first(labels: Mapping[str, str], names: Sequence[str]) -> str:
    return next((value for name in names if (value := labels.get(name, "")) not in ("", _NIL)), "")


def _bound(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value > 0 else None
