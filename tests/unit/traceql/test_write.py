"""Tree to text and back: whatever a value holds, the text reads back as the same tree."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.traceql import nodes
from app.traceql.nodes import (
    Attribute,
    Binary,
    Intrinsic,
    Junction,
    Literal,
    Logical,
    Op,
    OverTime,
    Pipeline,
    Query,
    Related,
    Relation,
    Scope,
    SpanFilter,
    SpansetLogical,
    and_,
    compare,
    eq,
    equal_in_any_type,
    exists,
    matches,
    one_of,
    or_,
    resource,
    search,
    span,
    span_filter,
)
from app.traceql.parse import parse
from app.traceql.values import Duration
from app.traceql.write import write
from app.traces.model import SpanKind, Status

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
attributes = st.builds(Attribute, names, st.sampled_from(Scope))
fields = st.one_of(attributes, st.sampled_from(Intrinsic))
integers = st.integers(-(2**63), 2**63 - 1)
literals = st.builds(
    Literal,
    st.one_of(
        texts,
        integers,
        st.floats(allow_nan=False, allow_infinity=False),
        st.booleans(),
        st.sampled_from([*Status, *SpanKind]),
        st.builds(Duration, st.integers(-(2**62), 2**62)),
    ),
)
ordered = st.sampled_from([Op.EQ, Op.NE, Op.LT, Op.LE, Op.GT, Op.GE])
# An attribute may be compared with anything, so that every such tree also passes the checks of types.
plain = st.one_of(
    st.builds(Binary, st.sampled_from([Op.EQ, Op.NE]), attributes, literals),
    st.builds(Binary, ordered, attributes, st.builds(Literal, integers)),
    st.builds(lambda a: Binary(Op.NE, a, Literal(None)), attributes),
    attributes,
)
numbers = st.recursive(
    st.one_of(attributes, st.builds(Literal, integers)),
    lambda inner: st.one_of(
        st.builds(Binary, st.sampled_from([Op.ADD, Op.SUB, Op.MUL, Op.DIV, Op.MOD, Op.POW]), inner, inner),
        st.builds(nodes.Negative, attributes),
    ),
    max_leaves=5,
)
expressions = st.recursive(
    st.one_of(plain, st.builds(Binary, ordered, numbers, numbers)),
    lambda inner: st.one_of(
        st.builds(nodes.Not, inner),
        st.lists(inner, min_size=2, max_size=4).flatmap(
            lambda operands: st.lists(st.sampled_from(Junction), min_size=len(operands) - 1, max_size=len(operands) - 1).map(
                lambda junctions: Logical(tuple(operands), tuple(junctions))
            )
        ),
    ),
    max_leaves=6,
)
filters = st.builds(SpanFilter, st.one_of(st.none(), expressions))
spansets = st.recursive(
    filters,
    lambda inner: st.one_of(
        st.builds(Related, st.sampled_from(Relation), inner, inner),
        st.builds(lambda a, b, j: SpansetLogical((a, b), (j,)), inner, inner, st.sampled_from(Junction)),
    ),
    max_leaves=4,
)
scalar_filters = st.builds(
    nodes.ScalarFilter,
    st.one_of(
        st.just(nodes.Aggregate(nodes.Reducer.COUNT)),
        st.builds(nodes.Aggregate, st.sampled_from([nodes.Reducer.MAX, nodes.Reducer.AVG]), attributes),
    ),
    ordered,
    st.builds(Literal, integers),
)
stages = st.one_of(
    spansets,
    scalar_filters,
    st.just(nodes.Coalesce()),
    st.builds(nodes.GroupBy, fields),
    st.builds(nodes.Select, st.lists(fields, min_size=1, max_size=3).map(tuple)),
)
groups = st.lists(fields, max_size=5).map(tuple)
metrics = st.one_of(
    st.builds(lambda by: OverTime(nodes.Measure.RATE, by=by), groups),
    st.builds(lambda of, by: OverTime(nodes.Measure.SUM, of, by=by), attributes, groups),
    st.builds(
        lambda of, qs, by: OverTime(nodes.Measure.QUANTILE, of, tuple(qs), by),
        attributes,
        st.lists(st.floats(0, 1), min_size=1, max_size=3),
        groups,
    ),
    st.builds(lambda chosen, top: nodes.Compare(chosen, top), filters, st.integers(1, 99)),
)
second = st.lists(
    st.one_of(
        st.builds(nodes.TopK, st.integers(1, 99)),
        st.builds(nodes.BottomK, st.integers(1, 99)),
        st.builds(nodes.SeriesFilter, ordered, st.builds(Literal, integers)),
    ),
    max_size=2,
).map(tuple)
hints = st.lists(st.tuples(st.sampled_from(["most_recent", "exemplars"]), literals), max_size=2).map(tuple)
pipelines = st.builds(lambda first, rest: Pipeline((first, *rest)), spansets, st.lists(stages, max_size=3))
queries = st.one_of(
    st.builds(lambda p, h: Query(p, hints=h), pipelines, hints),
    st.builds(Query, pipelines, metrics, second, hints),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(queries)
def test_what_is_written_reads_back_as_the_same_tree(query):
    assert parse(write(query)) == query


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts, names)
def test_no_value_becomes_syntax(value, name):
    query = search(span_filter(eq(span(name), value)))
    assert parse(write(query)) == query


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (search(span_filter()), "{ }"),
        (search(span_filter(eq(span("a"), 'x" || true || "'))), '{ span.a = "x\\" || true || \\"" }'),
        (search(span_filter(eq(span('k" } | rate() #'), 1))), '{ span."k\\" } | rate() #" = 1 }'),
        (search(span_filter(eq(Intrinsic.STATUS, Status.ERROR))), "{ status = error }"),
        (search(span_filter(compare(Intrinsic.DURATION, ">", Duration(1_500_000_000)))), "{ duration > 1s500ms }"),
        (search(span_filter(eq(span("a"), 1), or_(eq(span("b"), 2), eq(span("c"), 3)))),
         "{ span.a = 1 && (span.b = 2 || span.c = 3) }"),
        (search(span_filter(exists(resource("x y")))), '{ resource."x y" != nil }'),
        (search(span_filter(matches(Intrinsic.NAME, r"auth\..*")), most_recent=True),
         '{ name =~ "auth\\\\..*" } with (most_recent=true)'),
        (search(span_filter(eq(span("a"), -(2**63)))), "{ span.a = minInt }"),
        (search(span_filter(eq(span("a"), 2.0))), "{ span.a = 2.0 }"),
    ],
)  # fmt: skip
def test_builders(query, text):
    assert write(query) == text
    assert parse(text) == query


def test_one_of_and_numbers_in_any_type():
    assert write(span_filter(one_of(span("u"), ["a", "b"]))) == '{ span.u = "a" || span.u = "b" }'
    assert write(span_filter(one_of(span("u"), ["a"]))) == '{ span.u = "a" }'
    assert write(span_filter(equal_in_any_type(span("c"), 403))) == '{ span.c = 403 || span.c = 403.0 || span.c = "403" }'
    with pytest.raises(ValueError, match="nothing to join"):
        one_of(span("u"), [])


def test_and_keeps_the_brackets_of_or():
    one, two, three = (eq(span(name), 1) for name in "abc")
    assert write(span_filter(and_(or_(one, two), three))) == "{ (span.a = 1 || span.b = 1) && span.c = 1 }"
