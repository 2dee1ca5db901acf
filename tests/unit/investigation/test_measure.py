"""What is drawn of a metric: the window, the alert's own series, and rings that do not pretend to a height."""

import pytest

from app.investigation import measure
from app.investigation.alerts import Alert, Episode
from app.investigation.measure import Range
from app.investigation.walk import Walks
from app.sources.values import AlertState, Exemplar, Interval, QueryResult, Rule, Sample, Series
from app.times import HOUR, MINUTE, SECOND

NOW = 1_795_000_000 * SECOND
LABELS = {"alertname": "BruteForce", "severity": "warning", "subnet": "10.0.0.0/24"}
RULE = Rule("alerting", "BruteForce", "sum by (subnet) (rate(m[5m])) > 0.5", "g", "f", 30, labels={"severity": "warning"})


def alert(start=60, end=30, rule=RULE, intervals=()):
    one = Episode(NOW - start * MINUTE, NOW - (start - 1) * MINUTE, NOW - end * MINUTE if end is not None else None)
    return Alert("f" * 16, LABELS, one, (one,), rule, 1, tuple(intervals))


class Prometheus:
    def __init__(self, *series):
        self.series = series
        self.asked = []

    async def query_range(self, q, start, end, step_s):
        self.asked.append((q, start, end, step_s))
        return QueryResult(self.series if "subnet=" not in q or not self.only_wide else ())

    async def query(self, q, at):
        self.asked.append((q, at))
        return QueryResult(self.series)

    only_wide = False


def curve(*values, **labels):
    return Series(labels, tuple(Sample(NOW - HOUR + n * MINUTE, value) for n, value in enumerate(values)))


@pytest.mark.parametrize(
    ("span", "end", "expected"),
    [
        (Range.AROUND, 30, (75, 15)),
        (Range.AROUND, None, (90, 0)),
        (Range.HOUR, 30, (75, 15)),
        (Range.DAY, 30, (24 * 60, 0)),
    ],
)
def test_the_stretch_that_is_drawn(span, end, expected):
    begin, until = measure.window(alert(end=end).episode, span, NOW)
    assert (NOW - begin, NOW - until) == (expected[0] * MINUTE, expected[1] * MINUTE)


async def test_only_the_alerts_own_series_are_drawn():
    prometheus = Prometheus(curve(1, 2, subnet="10.0.0.0/24"), curve(9, subnet="10.9.9.0/24"), curve(3))
    found = await measure.measured(prometheus, alert(), Range.AROUND, now_ns=NOW)
    assert [series.labels for series in found.series] == [{"subnet": "10.0.0.0/24"}, {}]
    assert found.query == 'sum by (subnet) (rate(m{subnet="10.0.0.0/24"}[5m]))'
    assert (found.threshold.operator, found.threshold.value) == (">", 0.5)


async def test_where_the_narrowed_query_finds_nothing_all_are_asked_for():
    prometheus = Prometheus(curve(1, subnet="10.0.0.0/24"))
    prometheus.only_wide = True
    found = await measure.measured(prometheus, alert(), Range.AROUND, now_ns=NOW)
    assert found.query == "sum by (subnet) (rate(m[5m]))"
    assert len(found.series) == 1


async def test_no_values_is_said():
    found = await measure.measured(Prometheus(), alert(), Range.AROUND, now_ns=NOW)
    assert found.note == "Prometheus has no values for it in this time."


async def test_without_a_rule_there_is_no_curve_and_the_page_says_why():
    prometheus = Prometheus()
    found = await measure.measured(prometheus, alert(rule=None), Range.AROUND, now_ns=NOW)
    assert "did not tell the rule" in found.note
    assert prometheus.asked == []


async def test_rings_stand_on_the_curve_and_are_thinned():
    many = [Exemplar(f"{n:032x}", "", 0.09, NOW - HOUR + n * SECOND, {}, {}) for n in range(600)]
    found = await measure.measured(Prometheus(curve(1, 2, 40)), alert(), Range.AROUND, now_ns=NOW, exemplars=many)
    assert {one.value for one in found.exemplars} <= {1, 2, 40}
    assert 0 < len(found.exemplars) <= 60


async def test_the_farthest_value_is_asked_for_in_the_direction_of_the_rule():
    prometheus = Prometheus(curve(57))
    assert await measure.peak(prometheus, alert()) == 57
    assert prometheus.asked[0][0].startswith('max_over_time((sum by (subnet) (rate(m{subnet="10.0.0.0/24"}[5m])))[')
    low = Rule("alerting", "BruteForce", "up < 0.5", "g", "f", 30)
    await measure.peak(prometheus, alert(rule=low))
    assert prometheus.asked[1][0].startswith("min_over_time((up")


async def test_no_farthest_value_of_what_still_lasts():
    assert await measure.peak(Prometheus(curve(5)), alert(end=None)) is None


def test_stretches_come_from_the_history_or_else_from_the_episodes():
    told = (Interval(AlertState.FIRING, NOW - HOUR, NOW),)
    assert measure.stretches(alert(intervals=told)) == told
    assert [(i.state, i.start_ns) for i in measure.stretches(alert())] == [
        (AlertState.PENDING, NOW - 60 * MINUTE),
        (AlertState.FIRING, NOW - 59 * MINUTE),
    ]


def test_a_trace_knows_its_neighbours_in_the_list_that_led_to_it():
    walks = Walks()
    walks.shown("key", "Guessing", ["a", "b", "c"])
    place = walks.place("key", "b")
    assert (place.number, place.total, place.before, place.after, place.title) == (2, 3, "a", "c", "Guessing")
    assert (walks.place("key", "a").before, walks.place("key", "c").after) == ("", "")
    assert walks.place("key", "z") is None
    assert walks.place("other", "a") is None
