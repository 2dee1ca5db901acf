"""When an alert was pending and firing, read from the samples that its rule left behind. Pure.

Prometheus writes one sample of `ALERTS` per evaluation while an alert is active and none otherwise; pending and firing are
two series. `ALERTS_FOR_STATE` holds, at the same times, when the alert became active. A gap in the samples is either the
end of the alert or a silence of the evaluator: only another series of the same evaluator can tell.
"""

from __future__ import annotations

import bisect
import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import msgspec

from app.sources.values import AlertHistory, AlertState, Interval, Series
from app.times import MINUTE, SECOND, UnixNanos

_SAMPLES = "ALERTS"
_ACTIVE_SINCE = "ALERTS_FOR_STATE"
_DEFAULT_EVALUATION_NS = MINUTE  # Prometheus' own default
_GRAIN_NS = SECOND // 10  # evaluations stray by a few milliseconds
_QUIET_EVALUATIONS = 3  # after a start, a rule is evaluated two or three times before it writes samples again

Labels = tuple[tuple[str, str], ...]


class Run(msgspec.Struct):
    """Samples of one state without a gap. *_since are `ALERTS_FOR_STATE` at both ends, None where unknown."""

    state: AlertState
    first_ns: int
    last_ns: int
    first_since: float | None
    last_since: float | None


def evaluation_ns(series: Iterable[Series], hint_ns: int | None = None) -> int:
    """How often the rule was evaluated: the commonest distance between samples.

    hint_ns: the rule group's interval as configured now, believed where there are too few samples to tell.
    """
    gaps: Counter[int] = Counter()
    for one in series:
        for earlier, later in itertools.pairwise(one.samples):
            gaps[round((later.time_ns - earlier.time_ns) / _GRAIN_NS)] += 1
    gaps.pop(0, None)
    if not gaps:
        return hint_ns or _DEFAULT_EVALUATION_NS
    # Of two equally common distances the longer is the shorter with a sample missing.
    gap, count = min(gaps.items(), key=lambda item: (-item[1], item[0]))
    return gap * _GRAIN_NS if count >= 3 or not hint_ns else hint_ns


def runs(series: Iterable[Series], interval_ns: int, *, unstable: Collection[str] = ()) -> dict[Labels, list[Run]]:
    """The runs of each alert instance, oldest first.

    unstable: labels that change while the alert lasts, such as one that holds `{{ $value }}`; instances are told apart
              without them.
    """
    states: dict[Labels, dict[int, AlertState]] = {}
    since: dict[Labels, dict[int, float]] = {}
    for one in series:
        left_out = {"__name__", "alertstate", *unstable}
        key = tuple(sorted((name, value) for name, value in one.labels.items() if name not in left_out))
        if one.labels.get("__name__") == _ACTIVE_SINCE:
            since.setdefault(key, {}).update((sample.time_ns, sample.value) for sample in one.samples)
        elif one.labels.get("__name__") == _SAMPLES:
            state = AlertState.FIRING if one.labels.get("alertstate") == "firing" else AlertState.PENDING
            times = states.setdefault(key, {})
            for sample in one.samples:
                if times.get(sample.time_ns) is not AlertState.FIRING:
                    times[sample.time_ns] = state
    return {key: _runs(times, since.get(key, {}), interval_ns) for key, times in states.items()}


def _runs(states: dict[int, AlertState], since: dict[int, float], interval_ns: int) -> list[Run]:
    found: list[Run] = []
    for time_ns in sorted(states):
        state, active = states[time_ns], since.get(time_ns)
        run = found[-1] if found else None
        if run is not None and run.state is state and not _apart(run.last_ns, time_ns, interval_ns):
            run.last_ns, run.last_since = time_ns, active
        else:
            found.append(Run(state, time_ns, time_ns, active, active))
    return found


def gaps(found: Iterable[Sequence[Run]], interval_ns: int) -> list[tuple[int, int]]:
    """Where samples are missing between two runs of one instance: what `alive_ns` has to cover."""
    return [
        (earlier.last_ns, later.first_ns)
        for sequence in found
        for earlier, later in itertools.pairwise(sequence)
        if _apart(earlier.last_ns, later.first_ns, interval_ns)
    ]


def histories(
    found: dict[Labels, list[Run]],
    *,
    start_ns: int,
    end_ns: int,
    seen_from_ns: int,
    interval_ns: int,
    alive_ns: Sequence[int] = (),
) -> tuple[AlertHistory, ...]:
    """Runs as the stretches that touch the window, one history per instance, by the first stretch's start.

    seen_from_ns: from when on samples were looked for; a run that begins there began earlier.
    alive_ns:     times at which the evaluator is known to have been at work, in order; empty where nothing is known.
    """
    results = []
    for labels, sequence in found.items():
        stretches = _stretches(sequence, end_ns, seen_from_ns, interval_ns, alive_ns)
        inside = tuple(s for s in stretches if s.start_ns <= end_ns and (s.end_ns is None or s.end_ns > start_ns))
        if inside:
            results.append(AlertHistory(dict(labels), inside, interval_ns / SECOND))
    return tuple(sorted(results, key=lambda history: (history.intervals[0].start_ns, sorted(history.labels.items()))))


def _stretches(
    sequence: Sequence[Run], end_ns: int, seen_from_ns: int, interval_ns: int, alive_ns: Sequence[int]
) -> list[Interval]:
    stretches = []
    for index, run in enumerate(sequence):
        before = sequence[index - 1] if index else None
        after = sequence[index + 1] if index + 1 < len(sequence) else None
        interrupted = before is not None and _apart(before.last_ns, run.first_ns, interval_ns)
        start = run.first_ns if before is not None and not interrupted else _start(run, interval_ns)
        edge = before is None and start == run.first_ns and not _apart(seen_from_ns, run.first_ns, interval_ns)
        stretches.append(
            Interval(
                state=run.state,
                start_ns=UnixNanos(start),
                end_ns=_end(run, after, end_ns, interval_ns),
                after_outage=before is not None and interrupted and _silent(before, run, interval_ns, alive_ns),
                began_before=edge,
            )
        )
    return stretches


def _start(run: Run, interval_ns: int) -> int:
    """A pending alert knows when it became active, in whole seconds; a firing one only when its pending began."""
    if run.state is AlertState.FIRING or run.first_since is None:
        return run.first_ns
    since_ns = int(run.first_since) * SECOND
    # The rounded time of the first sample itself is no earlier start.
    return since_ns if since_ns + SECOND + interval_ns // 2 < run.first_ns else run.first_ns


def _end(run: Run, after: Run | None, end_ns: int, interval_ns: int) -> UnixNanos | None:
    """The first evaluation that no longer found it so: the true end lies at most one interval before."""
    if after is not None:
        return UnixNanos(min(after.first_ns, run.last_ns + interval_ns))
    if not _apart(run.last_ns, end_ns, interval_ns):
        return None
    return UnixNanos(run.last_ns + interval_ns)


def _silent(before: Run, after: Run, interval_ns: int, alive_ns: Sequence[int]) -> bool:
    """Did the evaluator fall silent between the runs, and the alert go on as soon as it was back?"""
    if before.last_since is not None and before.last_since == after.first_since:
        return True  # a restart restores when the alert became active; a new activation has its own time
    hole = _hole(before.last_ns, after.first_ns, alive_ns)
    if hole is None:
        return False
    begins, ends = hole
    # At work without the alert, before its silence or for longer after it than a start takes: the alert had resolved.
    return not _apart(before.last_ns, begins, interval_ns) and after.first_ns - ends <= _QUIET_EVALUATIONS * interval_ns


def _hole(start_ns: int, end_ns: int, alive_ns: Sequence[int]) -> tuple[int, int] | None:
    """The silence within a gap, from the last sign of life before it to the first after it.

    Where there is no sign of life on a side of the gap at all, the gap's own edge stands for it.
    """
    if len(alive_ns) < 2:
        return None
    distances = sorted(later - earlier for earlier, later in itertools.pairwise(alive_ns))
    usual = distances[len(distances) // 2]
    first = max(0, bisect.bisect_right(alive_ns, start_ns) - 1)
    last = bisect.bisect_left(alive_ns, end_ns)
    signs = [min(start_ns, alive_ns[first]), *alive_ns[first : last + 1]]
    if last == len(alive_ns):
        signs.append(end_ns)
    silences = [
        (earlier, later)
        for earlier, later in itertools.pairwise(signs)
        if later - earlier > usual * 3 // 2 and later > start_ns and earlier < end_ns
    ]
    return (silences[0][0], silences[-1][1]) if silences else None


def _apart(earlier_ns: int, later_ns: int, interval_ns: int) -> bool:
    """Is an evaluation missing between the two?"""
    return later_ns - earlier_ns > interval_ns * 3 // 2
