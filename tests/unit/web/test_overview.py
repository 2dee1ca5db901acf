"""The overview's words, addresses and pictures."""

import json
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from app.investigation.asking import Window
from app.investigation.overview.figures import Durations, Point, StepRow, Success
from app.investigation.overview.service import Basis
from app.settings import load
from app.times import HOUR, MINUTE, SECOND, UnixNanos
from app.web import overview_charts as charts
from app.web.views import links
from app.web.views.overview import percent, window_words
from app.web.views.overview_asked import Asked, search_href

START = UnixNanos(1_795_359_600 * SECOND)  # 2026-11-22 15:00 UTC


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (None, "none"),
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.5, "50.0 %"),
        (0.99999, "over 99.9 %"),
        (0.0004, "under 0.1 %"),
        (0.756, "75.6 %"),
    ],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share, words):
    assert percent(share) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.000_021, "21 µs"),
        (0.0038, "3.8 ms"),
        (0.048, "48 ms"),
        (0.37, "370 ms"),
        (0.9999, "1 s"),
        (1.25, "1.2 s"),
        (140.0, "140 s"),
    ],
)
def test_durations_have_two_digits(seconds, words):
    assert charts.seconds(seconds) == words


def test_below_the_finest_bucket_nothing_finer_is_claimed():
    assert charts.took(0.0031, Durations(9, 0.0031, 0.02, finest=0.005)) == "under 5 ms"
    assert charts.took(0.02, Durations(9, 0.0031, 0.02, finest=0.005)) == "20 ms"
    assert charts.took(None, Durations(0, None, None)) == "none"


def test_a_window_is_told_as_asked():
    assert window_words(Window(START, UnixNanos(START + HOUR), "1h")) == "in the last 1 h"
    assert window_words(Window(START, UnixNanos(START + HOUR))) == "from 22 Nov, 15:00 to 16:00 UTC"
    assert window_words(Window(START, UnixNanos(START + 24 * HOUR))) == "from 22 Nov, 15:00 to 23 Nov, 15:00 UTC"


def test_an_address_keeps_everything_but_what_a_control_changes():
    asked = Asked(last="6h", refresh="1m", source="traces")
    assert asked.href() == "/overview?last=6h&refresh=1m&source=traces"
    assert next(href for _, href, _ in asked.refreshes()) == "/overview?last=6h&source=traces"
    fixed = Asked(start="2026-11-21 02:50", end="2026-11-21 03:12", refresh="30s")
    assert fixed.refresh_s == 0
    assert next((href, current) for _, href, current in fixed.ranges()) == ("/overview?last=15m&refresh=30s", False)
    assert Asked(start="2026-11-21 02:50", refresh="30s").refresh_s == 30, "up to now moves on"


def test_figures_rest_on_what_was_asked_for_where_it_is_there():
    both = (Basis.METRICS, Basis.TRACES)
    assert Asked().basis(both) is Basis.METRICS
    assert Asked(source="traces").basis(both) is Basis.TRACES
    assert Asked(source="metrics").basis((Basis.TRACES,)) is Basis.TRACES
    assert Asked().bases((Basis.TRACES,)) == ()


def test_a_search_has_the_figures_own_time():
    asked = parse_qs(urlsplit(search_href(Window(START, UnixNanos(START + HOUR)), service="a&b", ended="refused")).query)
    assert asked["service"] == ["a&b"]
    assert asked["start"][0].startswith("2026-11-22T15:00:00")
    assert asked["end"][0].startswith("2026-11-22T16:00:00")


def test_grafana_is_asked_the_same_traceql_in_the_same_time():
    grafana = load(grafana={"url": "https://grafana.example", "tempo_uid": "t1"}).grafana
    asked = parse_qs(urlsplit(links.grafana_traces(grafana, '{ name = "a" }', START, START + HOUR)).query)
    pane = json.loads(asked["panes"][0])["clew"]
    assert pane["datasource"] == "t1"
    assert pane["queries"][0]["query"] == '{ name = "a" }'
    assert pane["range"] == {"from": str(START // 10**6), "to": str((START + HOUR) // 10**6)}
    assert links.grafana_traces(load().grafana, "{}", START, START + HOUR) == ""
    assert "expr" in unquote(links.grafana_metric(grafana, "up", START, START + HOUR))


def test_a_curve_has_a_hole_where_nothing_was_decided():
    points = tuple(Point(UnixNanos(START + n * MINUTE), ok, bad, 0) for n, (ok, bad) in enumerate([(3, 1), (0, 0), (1, 0)]))
    figure = charts.success_chart(Success(points, points), (START, UnixNanos(START + HOUR)), MINUTE)
    line, _, refused = figure["data"]
    assert line["y"] == [0.75, None, 1.0]
    assert line["connectgaps"] is False
    assert refused["y"] == [2, 0, 0]
    assert refused["offset"] + refused["width"] <= 0, "a bar stands in the step before its time"


def test_names_in_pictures_are_no_markup_and_hide_nothing():
    figure = charts.bars([("<a href=x>\u202evil</a>", 3, "3", "/search?a=1")])
    shown = figure["layout"]["yaxis"]["ticktext"][0]
    assert "<" not in shown
    assert "U+202E" in shown
    assert figure["data"][0]["customdata"] == ["/search?a=1"]


def test_a_usual_that_is_none_is_not_drawn():
    now = Durations(30, 0.01, 0.2)
    assert all(not trace["x"] for trace in charts.latency_chart([StepRow("a", now, None)])["data"] if "usual" in trace["name"])
    drawn = charts.latency_chart([StepRow("a", now, Durations(30, 0.0, 0.1), "a week before")])["data"]
    assert [trace["x"] for trace in drawn if trace["name"] == "usual p50"] == [[1e-6]], "a logarithm has no place for zero"
