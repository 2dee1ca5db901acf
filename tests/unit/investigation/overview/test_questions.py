"""What the panels ask: TraceQL that Clew can read itself, PromQL without anybody's values."""

import inspect

import pytest

from app.investigation.overview import metrics, traces
from app.times import HOUR, MINUTE
from app.traceql import parse
from app.traceql.nodes import Measure
from app.traceql.write import write

TRACEQL = [traces.sources, traces.results, traces.names, traces.refusals, traces.durations]


@pytest.mark.parametrize("ask", TRACEQL, ids=lambda ask: ask.__name__)
def test_every_traceql_is_a_metrics_query_of_at_most_five_groups(ask):
    query = parse.parse(ask())
    assert query.metrics.measure in (Measure.COUNT, Measure.HISTOGRAM)
    assert len(query.metrics.by) <= 5


@pytest.mark.parametrize("ask", [*TRACEQL, traces.refused], ids=lambda ask: ask.__name__)
def test_the_spans_it_counts_can_be_searched_for(ask):
    search = traces.traces_of(ask())
    assert parse.parse(search).metrics is None
    assert ask().startswith(search)
    assert write(parse.parse(search)) == search


def test_a_counters_first_value_counts_where_it_was_not_there_before():
    asked = metrics.rise("calls", '{a="b"}', 5 * MINUTE)
    larger, rise, born = asked.split("\nor ")
    assert 'max_over_time(calls{a="b"}[5m]) unless calls{a="b"} offset 5m' in born
    assert "< on (job, instance) group_left () sum_over_time(up[5m])" in born
    assert rise == 'increase(calls{a="b"}[5m])'
    assert larger == f"{born}\n  > {rise}"


def test_an_earlier_time_is_told_in_the_query():
    assert "[1h] offset 24h" in metrics.durations(HOUR, 24 * HOUR)
    assert "offset" not in metrics.durations(HOUR)


def test_no_question_takes_a_text():
    for module in (metrics, traces):
        for name, ask in inspect.getmembers(module, inspect.isfunction):
            if ask.__module__ == module.__name__ and not name.startswith("_") and name not in ("rise", "traces_of"):
                assert {kind.annotation for kind in inspect.signature(ask).parameters.values()} <= {"int"}, name
