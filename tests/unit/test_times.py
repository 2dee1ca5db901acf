import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.times import (
    HOUR,
    MILLISECOND,
    SECOND,
    format_duration,
    from_datetime,
    iso,
    parse_duration,
    parse_iso,
    to_datetime,
)

MOMENT = 1_795_229_921_208_123_456  # 2026-11-21T02:58:41.208123456Z


def test_an_instant_keeps_its_nanoseconds():
    assert iso(MOMENT, digits=9) == "2026-11-21T02:58:41.208123456+00:00"
    assert iso(MOMENT) == "2026-11-21T02:58:41.208123+00:00"
    assert iso(MOMENT, digits=0) == "2026-11-21T02:58:41+00:00"
    assert parse_iso("2026-11-21T02:58:41.208123456Z") == MOMENT
    assert parse_iso("2026-11-21t04:58:41.208123456+02:00") == MOMENT


@given(st.integers(0, 4_102_444_800 * SECOND))
def test_writing_and_reading_an_instant_is_a_circle(ns):
    assert parse_iso(iso(ns, digits=9)) == ns
    assert from_datetime(to_datetime(ns)) == ns - ns % 1000


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-21", "2026-11-21T02:58:41", "2026-13-01T00:00:00Z", "1e9"])
def test_what_is_no_instant_is_refused_in_words(text):
    with pytest.raises(InvalidInput, match="is not a time"):
        parse_iso(text)


def test_a_naive_datetime_has_no_place():
    with pytest.raises(ValueError, match="naive"):
        from_datetime(dt.datetime(2026, 1, 1))


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("30s", 30 * SECOND),
        ("1h30m", HOUR + HOUR // 2),
        ("1.5s", 1_500 * MILLISECOND),
        ("100us", 100_000),
        (".25s", 250 * MILLISECOND),
        ("72h", 72 * HOUR),
        ("7d", 168 * HOUR),
        ("-5m", -300 * SECOND),
        ("0.1s", 100 * MILLISECOND),
    ],
)
def test_durations_are_exact(text, ns):
    assert parse_duration(text) == ns


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "1h-3m", "ten", "-"])
def test_what_is_no_duration_is_refused_in_words(text):
    with pytest.raises(InvalidInput, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 µs"),
        (44_000, "44 µs"),
        (148_200_000, "148.2 ms"),
        (-48_600_000, "−48.6 ms"),
        (2_400 * MILLISECOND, "2.4 s"),
        (185 * SECOND, "3 min 5 s"),
        (3720 * SECOND, "1 h 2 min"),
        (49 * HOUR, "2 d 1 h"),
    ],
)
def test_durations_read_as_a_person_says_them(ns, text):
    assert format_duration(ns) == text
