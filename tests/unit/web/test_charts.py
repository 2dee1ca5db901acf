import json
import math

import pytest

from app.sources.values import AlertState, Exemplar, Interval, Sample, Series
from app.times import MILLISECOND, MINUTE, SECOND, UnixNanos, parse_iso
from app.web import charts

START = parse_iso("2026-11-21T02:00:00Z")
WINDOW = (START, UnixNanos(START + 60 * MINUTE))
TRACE = "9088011ad4c4f4572a769dcd71ab9933"


def at(minute: float) -> UnixNanos:
    return UnixNanos(START + int(minute * MINUTE))


def series(*points: tuple[float, float], **labels: str) -> Series:
    return Series(labels or {"__name__": "up"}, tuple(Sample(at(minute), value) for minute, value in points))


def exemplar(trace_id: str = TRACE, minute: float = 10, value: float = 5) -> Exemplar:
    return Exemplar(trace_id, "1" * 16, value, at(minute), {}, {})


def draw(lines=(), threshold=None, intervals=(), exemplars=(), window=WINDOW):
    return charts.alert_chart(list(lines), threshold, list(intervals), list(exemplars), window)


def strip(figure) -> list[tuple]:
    """The pieces of the strip below the axis, as (colour, from, to)."""
    return [(one["fillcolor"], one["x0"], one["x1"]) for one in figure["layout"]["shapes"] if one.get("y1", 0) < 0]


def test_points_are_in_milliseconds_of_utc_on_the_window_asked_for():
    figure = draw([series((0, 1), (1, 2))])
    assert figure["data"][0]["x"] == [START // MILLISECOND, START // MILLISECOND + 60_000]
    assert figure["layout"]["xaxis"]["range"] == [START // MILLISECOND, START // MILLISECOND + 3_600_000]


def test_a_hole_in_the_data_is_a_hole_in_the_line():
    figure = draw([series((0, 1), (1, 2), (2, 3), (10, 4), (11, 5))])
    assert figure["data"][0]["y"] == [1, 2, 3, None, 4, 5]
    assert figure["data"][0]["connectgaps"] is False


def test_the_ground_below_the_line_does_not_fill_a_hole():
    line, area = draw([series((0, 1), (1, 2), (2, 3), (10, 4), (11, 5))])["data"]
    assert line["type"] == area["type"]
    minutes = [(time - START // MILLISECOND) // 60_000 for time in area["x"]]
    assert list(zip(minutes, area["y"], strict=True)) == [(0, 1), (1, 2), (2, 3), (2, 0), (10, 0), (10, 4), (11, 5)]


def test_several_lines_have_no_ground():
    assert len(draw([series((0, 1), a="1"), series((0, 2), a="2")])["data"]) == 2


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_a_hole_too_and_the_figure_is_json(value):
    figure = draw([series((0, 1), (1, value), (2, 3))], threshold=value, exemplars=[exemplar(value=value)])
    assert figure["data"][0]["y"] == [1, None, 3]
    json.loads(json.dumps(figure, allow_nan=False))


def test_the_threshold_is_a_line_with_its_word():
    figure = draw([series((0, 1))], threshold=20)
    (line,) = [one for one in figure["layout"]["shapes"] if one["type"] == "line"]
    assert (line["y0"], line["y1"], line["x0"], line["x1"]) == (20, 20, 0, 1)
    assert [one["text"] for one in figure["layout"]["annotations"]] == ["threshold 20"]


def test_the_threshold_is_in_view_even_above_all_values():
    low, high = draw([series((0, 1), (1, 2))], threshold=100)["layout"]["yaxis"]["range"]
    assert low == 0
    assert high > 100


def test_negative_values_are_not_cut_off():
    assert draw([series((0, -5), (1, 2))])["layout"]["yaxis"]["range"] is None


def test_the_strip_shows_pending_and_firing_within_the_window():
    ms = START // MILLISECOND
    figure = draw(
        intervals=[
            Interval(AlertState.FIRING, at(-30), at(5)),
            Interval(AlertState.PENDING, at(10), at(12)),
            Interval(AlertState.FIRING, at(12), None),
            Interval(AlertState.FIRING, at(90), at(95)),
        ]
    )
    assert strip(figure) == [
        ("$line-2", 0, 1),
        ("$deny-fill", ms, ms + 5 * 60_000),
        ("$error-fill", ms + 10 * 60_000, ms + 12 * 60_000),
        ("$deny-fill", ms + 12 * 60_000, ms + 60 * 60_000),
    ]
    assert [one["text"] for one in figure["layout"]["annotations"]] == ["firing for 48 min"]


def test_exemplars_link_to_their_traces_and_to_nothing_else():
    figure = draw(
        [series((0, 1))],
        exemplars=[
            exemplar(),
            exemplar("javascript:alert(1)"),
            exemplar("../../logout"),
            exemplar(TRACE + "/x"),
            exemplar(minute=99),
        ],
    )
    rings = figure["data"][-1]
    assert rings["customdata"] == [f"/traces/{TRACE}", "", "", ""]
    assert len(rings["x"]) == len(rings["text"]) == 4


def test_an_exemplar_of_an_alert_leads_back_to_it():
    rings = charts.alert_chart([series((0, 1))], None, [], [exemplar()], WINDOW, "00000000000000ab-1795229460")["data"][-1]
    assert rings["customdata"] == [f"/traces/{TRACE}?alert=00000000000000ab-1795229460"]


def test_labels_from_telemetry_are_text_and_never_markup():
    hostile = '<a href="https://evil.example/">x</a>'
    figure = draw([series((0, 1), __name__="m", user=hostile)], exemplars=[exemplar(hostile)])
    assert "<a" not in json.dumps(figure)
    assert "&lt;a href" in figure["data"][0]["name"]


def test_of_many_series_the_twelve_highest_are_drawn():
    many = [series((0, float(n)), host=f"h{n}") for n in range(30)]
    drawn = draw(many)["data"]
    assert [line["y"][0] for line in drawn] == [float(n) for n in range(29, 17, -1)]
    assert all("fill" not in line for line in drawn)


def test_nothing_to_draw_is_still_a_picture():
    figure = draw()
    assert figure["data"] == []
    assert strip(figure) == [("$line-2", 0, 1)]


def test_colours_are_names_of_the_pages_own():
    figure = draw([series((0, 1))], 2, [Interval(AlertState.FIRING, at(1), at(50))], [exemplar()])
    text = json.dumps(figure)
    assert "#" not in text.replace("&#", "")
    assert "rgb(" not in text


def test_the_picture_in_words():
    words = charts.alert_words(
        [series((0, 2), (24, 148), (50, 3))], 20, [Interval(AlertState.FIRING, at(17.5), at(51.5))], WINDOW
    )
    assert words == (
        "Between 2 and 148; the highest at 02:24:00 UTC on 21 Nov. The threshold is 20. It fired 02:17:30 to 02:51:30."
    )
    assert charts.alert_words([], None, [], WINDOW) == "No values between 02:00:00 and 03:00:00 UTC."
    still = charts.alert_words([series((0, 1))], None, [Interval(AlertState.FIRING, at(1), None)] * 7, WINDOW)
    assert still.endswith("02:01:00 to now and 2 more times.")


def test_a_series_is_named_as_prometheus_writes_it():
    assert charts.series_name({"__name__": "up", "job": "a", "instance": "b"}) == 'up{instance="b", job="a"}'
    assert charts.series_name({}) == "value"


def test_a_window_of_days_has_days_on_its_axis():
    wide = (START, UnixNanos(START + 7 * 24 * 3600 * SECOND))
    assert draw(window=wide)["layout"]["xaxis"]["tickformat"] == "%-d %b"
