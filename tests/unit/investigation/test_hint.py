"""The rule's own trace_query: filled as a tree, so that no label can become syntax."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.investigation import hint
from app.investigation.hint import NotUsable
from app.traceql import nodes, parse, write

TEMPLATE = '{ name = "auth.login" && span.auth.client.subnet = "{{ $labels.subnet }}" } | count_over_time() by (span.user.hash)'


def test_the_search_is_kept_and_its_metrics_left_off():
    query = hint.of_template(TEMPLATE, {"subnet": "10.0.0.0/24"}, None)
    assert write.write(query) == '{ name = "auth.login" && span.auth.client.subnet = "10.0.0.0/24" }'


@given(st.text(max_size=60))
def test_no_label_can_become_syntax(value):
    query = hint.of_template(TEMPLATE, {"subnet": value}, None)
    expected = nodes.span_filter(
        nodes.eq(nodes.Intrinsic.NAME, "auth.login"), nodes.eq(nodes.span("auth.client.subnet"), value)
    )
    assert query.pipeline.stages == (expected,)


def test_a_label_that_imitates_a_place_is_not_filled_again():
    query = hint.of_template('{ .a = "{{ $labels.a }}" && .b = "{{ $labels.b }}" }', {"a": "clewhole1x", "b": "secret"}, None)
    assert write.write(query) == '{ .a = "clewhole1x" && .b = "secret" }'


def test_inside_a_regex_a_label_is_literal():
    query = hint.of_template('{ span.http.route =~ "{{ $labels.path }}.*" }', {"path": "/a.b(c|d)"}, None)
    assert query.pipeline.stages[0].expression.right.value == r"/a\.b\(c\|d\).*"
    assert parse.parse(write.write(query)) == query


def test_a_value_may_be_a_number_in_the_query():
    query = hint.of_template("{ duration > {{ $value }}s }", {}, 0.31)
    assert write.write(query) == "{ duration > 310ms }"


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{ {{ $labels.field }} = 1 }", "could become syntax"),
        ("{ span.{{ $labels.field }} = 1 }", "could become syntax"),
        ('{ name = "x" ', "not valid TraceQL"),
        ("{ duration > {{ $value }}s }", "not known any more"),
        ("{{ range query }}", "template form"),
    ],
)
def test_what_cannot_be_used_is_said(template, why):
    with pytest.raises(NotUsable, match=why):
        hint.of_template(template, {"field": "x"}, None)


def test_filled_text_is_used_only_where_labels_cannot_have_changed_it():
    text = '{ span.auth.client.subnet = "10.0.0.0/24" }'
    assert write.write(hint.of_text(text, {"subnet": "10.0.0.0/24"})) == text
    with pytest.raises(NotUsable, match="could have changed it"):
        hint.of_text('{ span.a = "" || true || "" }', {"subnet": '" || true || "'})
