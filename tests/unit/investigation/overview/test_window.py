"""The time an overview speaks of."""

from itertools import pairwise

import pytest

from app.errors import InvalidInput
from app.investigation.asking import Window
from app.investigation.overview import window as windows
from app.times import DAY, HOUR, MINUTE, SECOND, UnixNanos, iso

NOW = UnixNanos(1_795_361_047_123_456_789)


def test_without_a_word_it_is_the_last_hour_up_to_a_round_moment():
    found = windows.window("", "", "", NOW)
    assert found.last == "1h"
    assert found.end_ns - found.start_ns == HOUR
    assert found.end_ns % (10 * SECOND) == 0
    assert 0 <= NOW - found.end_ns < 10 * SECOND


@pytest.mark.parametrize(("last", "length"), [("15m", 15 * MINUTE), ("6h", 6 * HOUR), ("24h", DAY)])
def test_the_stretches_on_offer(last, length):
    found = windows.window(last, "", "", NOW)
    assert found.end_ns - found.start_ns == length


def test_two_times_win_over_a_stretch():
    found = windows.window("6h", "2026-11-21 02:50", "2026-11-21 03:12", NOW)
    assert [iso(found.start_ns, digits=0)[:16], iso(found.end_ns, digits=0)[:16]] == ["2026-11-21T02:50", "2026-11-21T03:12"]
    assert found.last == ""


@pytest.mark.parametrize(
    ("given", "field"),
    [(("7d", "", ""), "last"), (("", "yesterday", ""), "start"), (("", "2026-11-21 03:12", "2026-11-21 02:50"), "end")],
)
def test_what_is_no_time_is_told_at_its_field(given, field):
    with pytest.raises(InvalidInput) as refused:
        windows.window(*given, NOW)
    assert refused.value.field == field


@pytest.mark.parametrize("length", [MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY, 90 * DAY])
def test_a_curve_has_few_points_of_a_minute_or_more(length):
    step = windows.step_ns(Window(UnixNanos(NOW - length), NOW))
    assert step >= MINUTE
    assert length / step <= 50


def test_a_baseline_is_the_same_stretch_earlier():
    found = windows.shifted(Window(UnixNanos(NOW - HOUR), NOW, "1h"), DAY)
    assert (found.start_ns, found.end_ns) == (NOW - HOUR - DAY, NOW - DAY)


@pytest.mark.parametrize(("length", "pieces"), [(HOUR, 1), (3 * HOUR, 1), (3 * HOUR + SECOND, 2), (DAY, 8)])
def test_pieces_cover_the_window_without_gap_or_overlap(length, pieces):
    found = windows.cut(Window(UnixNanos(NOW - length), NOW), 3 * HOUR)
    assert len(found) == pieces
    assert [found[0].start_ns, found[-1].end_ns] == [NOW - length, NOW]
    assert all(one.end_ns == other.start_ns for one, other in pairwise(found))
    assert all(one.end_ns - one.start_ns <= 3 * HOUR for one in found)
