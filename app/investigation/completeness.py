"""How complete a list of traces is: what was found against what was counted, and what cannot be known. Pure.

Nothing here rounds in Clew's favour: where the two counts differ, or could not both be had, the sentence says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec

from app.investigation.labels import Counter
from app.sources.values import CompleteSearch, QueryResult, Series
from app.times import UnixNanos, to_datetime

_NIL = "nil"  # Tempo's word for a missing attribute


class Count(msgspec.Struct, frozen=True):
    """Matching spans as TraceQL metrics count them, in all and by `auth.result`."""

    total: int
    by_result: Mapping[str, int]


class Completeness(msgspec.Struct, frozen=True):
    """What ui.complete shows: the matching spans found, of how many, in words.

    counted: None where no independent count could be had.
    missing: sentences about stretches where matches are, or may be, missing.
    """

    found: int
    counted: int | None
    words: str
    missing: tuple[str, ...]

    @property
    def whole(self) -> bool:
        return self.counted is not None and self.found >= self.counted and not self.missing


class BlindSpot(msgspec.Struct, frozen=True):
    """All requests as Prometheus counted them, against those whose traces were kept.

    unseen_allowed: successes that no trace shows.
    """

    allowed: int
    refused: int
    traced_allowed: int
    traced_refused: int

    @property
    def unseen_allowed(self) -> int:
        return max(0, self.allowed - self.traced_allowed)

    @property
    def unseen_refused(self) -> int:
        return max(0, self.refused - self.traced_refused)


def count(result: QueryResult) -> Count:
    """An instant count_over_time() by (span.auth.result), or the sums of a range one."""
    by_result: dict[str, int] = {}
    for series in result.series:
        word = series.labels.get("span.auth.result", "")
        total = round(sum(sample.value for sample in series.samples if sample.value == sample.value))
        by_result[word] = by_result.get(word, 0) + total
    return Count(sum(by_result.values()), {word: n for word, n in by_result.items() if word not in ("", _NIL)})


def completeness(search: CompleteSearch, counted: Count | None, *, why_not_counted: str = "") -> Completeness:
    spans = sum(max(1, trace.matched) for trace in search.traces)
    traces = len(search.traces)
    window = f"{_clock(search.start_ns)} to {_clock(search.end_ns)}"
    what = "" if spans == traces else f"matching spans in {_n(traces, 'trace')}, "
    slices = len(search.slices)
    limits = "none at its limit" if search.complete else f"{len(search.missing)} of them not whole"
    how = f"{window}, in {_n(slices, 'slice')}, {limits}" if slices > 1 else f"{window}, in one search"
    if counted is None:
        words = f"{what}found by search, {how}. {why_not_counted}".strip()
    else:
        words = f"{what}found by search and counted independently by TraceQL metrics, {how}."
        if spans > counted.total:
            words = f"{what}found by search, {how}. TraceQL metrics count {counted.total:,}; they lag behind."
    return Completeness(spans, counted.total if counted else None, words, tuple(_missing(search, spans, counted)))


def _missing(search: CompleteSearch, spans: int, counted: Count | None) -> list[str]:
    found = []
    if counted is not None and spans < counted.total:
        found.append(f"{counted.total - spans:,} are missing.")
    for part in search.missing[:5]:
        found.append(f"{_clock(part.start_ns)} to {_clock(part.end_ns)}: {part.problem}")
    if len(search.missing) > 5:
        found.append(f"And {len(search.missing) - 5} more stretches.")
    return found


def counted(series: Sequence[Series], *, start_ns: int, step_ns: int) -> int:
    """By how much counters rose in a window. A series born in it counts from nothing, a reset starts anew.

    series: samples from the window's start to its end, every `step_ns`.
    """
    total = 0.0
    for one in series:
        if not one.samples:
            continue
        first = one.samples[0]
        # Prometheus' own increase() gives nothing for a counter that appears at 400.
        if first.time_ns >= start_ns + step_ns:
            total += first.value
        for before, after in pairwise(one.samples):
            total += after.value - before.value if after.value >= before.value else after.value
    return round(total)


def blind_spot(counter: Counter, series: Sequence[Series], traced: Count, *, start_ns: int, step_ns: int) -> BlindSpot:
    """What Prometheus counted, against what was traced, by outcome."""

    def of(value: str) -> list[Series]:
        return [one for one in series if one.labels.get(counter.outcome) == value]

    return BlindSpot(
        allowed=counted(of(counter.allowed), start_ns=start_ns, step_ns=step_ns),
        refused=counted(of(counter.refused), start_ns=start_ns, step_ns=step_ns),
        traced_allowed=traced.by_result.get(counter.allowed, 0),
        traced_refused=traced.by_result.get(counter.refused, 0),
    )


def _n(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _clock(ns: UnixNanos) -> str:
    return to_datetime(ns).strftime("%H:%M:%S")
