"""Samples of ALERTS to stretches, on drawn time lines: `.` nothing, `p` pending, `F` firing, one letter per evaluation."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sources.history import evaluation_ns, gaps, histories, runs
from app.sources.values import AlertHistory, AlertState, Sample, Series
from app.times import SECOND, UnixNanos

T0 = 1_790_000_000 * SECOND
STEP = 15 * SECOND


def at(step: float) -> int:
    return T0 + int(step * STEP)


def series(drawing: str, *, since: dict[int, float] | None = None, **labels: str) -> list[Series]:
    """The series that a drawn time line leaves behind. since: step to `ALERTS_FOR_STATE` there, in seconds after T0."""
    common = {"alertname": "X", **labels}
    found = []
    for letter, state in (("p", "pending"), ("F", "firing")):
        steps = [n for n, drawn in enumerate(drawing) if drawn == letter]
        if steps:
            named = {"__name__": "ALERTS", "alertstate": state, **common}
            found.append(Series(named, tuple(Sample(UnixNanos(at(n)), 1) for n in steps)))
    if since:
        values = tuple(Sample(UnixNanos(at(n)), T0 // SECOND + value) for n, value in sorted(since.items()))
        found.append(Series({"__name__": "ALERTS_FOR_STATE", **common}, values))
    return found


def read(
    lines: list[Series], length: int, *, alive: str = "", start: float = 0, unstable: tuple[str, ...] = ()
) -> tuple[AlertHistory, ...]:
    found = runs(lines, STEP, unstable=unstable)
    return histories(
        found,
        start_ns=at(start),
        end_ns=at(length),
        seen_from_ns=at(-2),
        interval_ns=STEP,
        alive_ns=[at(n + 0.1) for n, drawn in enumerate(alive) if drawn == "#"],
    )


def stretches(drawing: str, *, alive: str = "", since: dict[int, float] | None = None, start: float = 0) -> list[str]:
    """Each stretch as `state begin-end`, in steps; `*` follows an outage, `<` began before, open ends have no number."""
    found = read(series(drawing, since=since), len(drawing), alive=alive, start=start)
    if not found:
        return []
    (history,) = found

    def step(ns: int | None) -> str:
        return "" if ns is None else f"{(ns - T0) / STEP:g}"

    return [
        f"{'*' if i.after_outage else ''}{'<' if i.began_before else ''}{i.state} {step(i.start_ns)}-{step(i.end_ns)}"
        for i in history.intervals
    ]


@pytest.mark.parametrize(
    ("drawing", "expected"),
    [
        ("..........", []),
        ("...FFF....", ["firing 3-6"]),
        ("...F......", ["firing 3-4"]),
        ("...ppFF...", ["pending 3-5", "firing 5-7"]),
        ("...pp.....", ["pending 3-5"]),
        ("...FF.FF..", ["firing 3-5", "firing 6-8"]),
        ("...pFpF...", ["pending 3-4", "firing 4-5", "pending 5-6", "firing 6-7"]),
        ("......FFFF", ["firing 6-"]),
        ("......ppFF", ["pending 6-8", "firing 8-"]),
        (".......FF.", ["firing 7-9"]),
    ],
)
def test_a_drawn_history(drawing, expected):
    assert stretches(drawing) == expected


def test_an_alert_that_was_on_when_one_began_to_look_began_before():
    drawing = "FFFF......"
    found = runs(series(drawing), STEP)
    (history,) = histories(found, start_ns=at(2), end_ns=at(10), seen_from_ns=at(0), interval_ns=STEP)
    assert [(i.start_ns, i.end_ns, i.began_before) for i in history.intervals] == [(at(0), at(4), True)]


def test_a_stretch_that_ended_before_the_window_is_left_out_and_one_that_reaches_into_it_is_whole():
    assert stretches("F..FFFF...", start=5) == ["firing 3-7"]


def test_pending_begins_when_the_alert_became_active_even_before_the_window():
    """The value is in whole seconds, so that one within the last evaluation is not an earlier start."""
    assert stretches("ppFF......", since={0: -100, 1: -100, 2: -100}) == [f"pending {-100 / 15:g}-2", "firing 2-4"]
    assert stretches("..ppF.....", since={2: 29, 3: 29, 4: 29}) == ["pending 2-4", "firing 4-5"]


# -------------------------------------------------------------------------------------------- resolved or unwatched


@pytest.mark.parametrize(
    ("drawing", "alive", "outage"),
    [
        ("..FFFF......FFFF..", "##################", False),  # watched all the time
        ("..FFFF......FFFF..", "######.....#######", True),  # silent, and firing as soon as it was back
        ("..FFFF........FFFF", "######.....#######", True),  # a start holds the first evaluations back
        ("..FFFF........FFFF", "#########....#####", False),  # resolved, then silent
        ("..FFFF..........FF", "######...#########", False),  # back for long before it fired again
        ("..FFFF......FFFF..", "", False),  # nothing is known
        ("..FFFF......FFFF..", "######............", True),  # no sign of life since
        ("..FFFF.FFFF.......", "##################", False),  # one evaluation without it
    ],
)
def test_a_gap_is_an_outage_only_where_the_evaluator_was_silent(drawing, alive, outage):
    found = stretches(drawing, alive=alive)
    assert len(found) == 2
    assert found[1].startswith("*") is outage
    assert not found[0].startswith("*")


def test_the_same_activation_on_both_sides_of_a_gap_is_one_episode_interrupted():
    drawing = "..FFFF......FFFF.."
    same = {n: 30.0 for n, drawn in enumerate(drawing) if drawn == "F"}
    assert [s.startswith("*") for s in stretches(drawing, since=same)] == [False, True]
    other = {n: 30.0 if n < 10 else 180.0 for n in same}
    assert [s.startswith("*") for s in stretches(drawing, since=other)] == [False, False]


def test_gaps_are_where_signs_of_life_are_needed():
    found = runs([*series("FF...FF...F"), *series("ppFF", user="a")], STEP)
    assert gaps(found.values(), STEP) == [(at(1), at(5)), (at(6), at(10))]


# ---------------------------------------------------------------------------------------------- instances and labels


def test_instances_are_told_apart_by_their_labels_and_come_in_order_of_their_start():
    found = read([*series("....FF", user="late"), *series("..FF..", user="early")], 6)
    assert [history.labels for history in found] == [{"alertname": "X", "user": u} for u in ("early", "late")]


def test_labels_that_change_with_the_value_do_not_split_an_instance():
    lines = [*series("..F.......", value="7"), *series("...F......", value="8"), *series("....F.....", value="9")]
    assert len(read(lines, 10)) == 3
    (history,) = read(lines, 10, unstable=("value",))
    assert history.labels == {"alertname": "X"}
    assert [(i.start_ns, i.end_ns) for i in history.intervals] == [(at(2), at(5))]


def test_firing_wins_where_both_states_have_a_sample():
    lines = [*series("..pp......", value="1"), *series("...F......", value="2")]
    (history,) = read(lines, 10, unstable=("value",))
    assert [i.state for i in history.intervals] == [AlertState.PENDING, AlertState.FIRING]


def test_other_series_are_no_alerts():
    assert read([Series({"__name__": "up", "alertname": "X"}, (Sample(UnixNanos(at(1)), 1),))], 10) == ()


# -------------------------------------------------------------------------------------------------------- intervals


def test_the_evaluation_interval_is_the_commonest_distance():
    assert evaluation_ns(series("FFFF..F.F.")) == STEP
    jittered = Series({}, tuple(Sample(UnixNanos(at(n) + (n % 3) * 5_000_000), 1) for n in range(9)))
    assert evaluation_ns([jittered]) == STEP


def test_too_few_samples_believe_the_rule_and_then_prometheus_default():
    assert evaluation_ns(series("F")) == 60 * SECOND
    assert evaluation_ns(series("F"), 30 * SECOND) == 30 * SECOND
    assert evaluation_ns(series("F...F"), 30 * SECOND) == 30 * SECOND
    assert evaluation_ns(series("F...F")) == 4 * STEP
    assert evaluation_ns(series("FFFFF"), 30 * SECOND) == STEP


@given(drawing=st.text("...pF", min_size=1, max_size=60), alive=st.text("#.", max_size=60))
def test_stretches_are_in_order_without_overlap_and_cover_every_sample(drawing, alive):
    found = read(series(drawing), len(drawing), alive=alive)
    samples = [(at(n), drawn) for n, drawn in enumerate(drawing) if drawn in "pF"]
    intervals = found[0].intervals if found else ()
    for one, two in itertools.pairwise(intervals):
        assert one.end_ns is not None
        assert one.start_ns < one.end_ns <= two.start_ns
    for ns, drawn in samples:
        state = AlertState.FIRING if drawn == "F" else AlertState.PENDING
        assert [i.state for i in intervals if i.start_ns <= ns and (i.end_ns is None or ns < i.end_ns)] == [state]
