"""The index rules traces out, never in error: a search through it finds what looking at every trace finds."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import tempo_dataset

from app.embedded import reader as reader_module
from app.embedded.plan import plan
from app.embedded.reader import EVER, Reader, Window
from app.embedded.search import Deadline, Inspected, matching
from app.embedded.store import Retention, Store
from app.traceql.fetch import TraceSpans
from app.traceql.match import Matcher
from app.traceql.nodes import (
    Attribute,
    Binary,
    Intrinsic,
    Junction,
    Literal,
    Logical,
    Not,
    Op,
    Query,
    Related,
    Relation,
    Scope,
    SpanFilter,
    search,
    span_filter,
)
from app.traceql.parse import parse
from app.traceql.values import Duration
from app.traceql.write import write
from app.traces.model import SpanKind, Status

SECOND = 1_000_000_000
TRACES = [TraceSpans(trace_id, spans) for trace_id, spans in tempo_dataset.traces().items()]


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("spans"), Retention())
    for start in range(0, len(tempo_dataset.spans()), 100):  # in several commits, so that traces have several parts
        store.append(tempo_dataset.spans()[start : start + 100]).result(timeout=10)
    reader = Reader(store)
    yield reader
    reader.close()
    store.close()


def occurring():
    """Attributes with values that occur in the data set."""
    found = set()
    for span in tempo_dataset.spans():
        for scope, attributes in ((Scope.SPAN, span.attributes), (Scope.RESOURCE, span.resource.attributes)):
            for name, value in attributes.items():
                for one in value if isinstance(value, list) else [value]:
                    if isinstance(one, (str, int, float, bool)):
                        found.add((Attribute(name, scope), Literal(one)))
    return sorted(found, key=repr)


PAIRS = occurring()
pairs = st.integers(0, len(PAIRS) - 1).map(lambda place: PAIRS[place])
scopes = st.sampled_from([Scope.SPAN, Scope.RESOURCE, Scope.ANY])


def comparison(pair, scope, op, twist):
    field, literal = pair
    value = literal.value
    if op in (Op.RE, Op.NRE):
        value = ".*".join(c for c in str(value)[:5] if c.isalnum()) + ".*"
    elif twist and isinstance(value, str):
        value = value[:-1]
    elif type(value) is bool and op not in (Op.EQ, Op.NE):
        op = Op.EQ
    return Binary(op, Attribute(field.name, scope), Literal(value))


comparisons = st.builds(comparison, pairs, scopes, st.sampled_from([op for op in Op if op in
    (Op.EQ, Op.NE, Op.LT, Op.LE, Op.GT, Op.GE, Op.RE, Op.NRE)]), st.booleans())  # fmt: skip
intrinsics = st.sampled_from([
    Binary(Op.EQ, Intrinsic.NAME, Literal("auth.login")),
    Binary(Op.RE, Intrinsic.NAME, Literal("auth.*|GET.*")),
    Binary(Op.EQ, Intrinsic.STATUS, Literal(Status.ERROR)),
    Binary(Op.NE, Intrinsic.KIND, Literal(SpanKind.SERVER)),
    Binary(Op.GT, Intrinsic.DURATION, Literal(Duration(90_000_000))),
    Binary(Op.LT, Intrinsic.DURATION, Literal(Duration(1_500_000))),
    Binary(Op.GE, Intrinsic.TRACE_DURATION, Literal(Duration(100_000_000))),
    Binary(Op.EQ, Intrinsic.ROOT_NAME, Literal("GET /deep")),
    Binary(Op.NE, Intrinsic.ROOT_SERVICE, Literal("edge-gateway")),
    Binary(Op.EQ, Intrinsic.TRACE_ID, Literal("c0ffee0000000000000001")),
    Binary(Op.EQ, Intrinsic.EVENT_NAME, Literal("exception")),
    Binary(Op.EQ, Intrinsic.SCOPE_NAME, Literal("io.opentelemetry.jdbc")),
    Binary(Op.EQ, Intrinsic.STATUS_MESSAGE, Literal("no tuple")),
])  # fmt: skip
expressions = st.recursive(
    st.one_of(comparisons, intrinsics, pairs.map(lambda pair: Binary(Op.NE, pair[0], Literal(None)))),
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=3).flatmap(
            lambda some: st.lists(st.sampled_from(Junction), min_size=len(some) - 1, max_size=len(some) - 1).map(
                lambda junctions: Logical(tuple(some), tuple(junctions))
            )
        ),
    ),
    max_leaves=4,
)
filters = st.builds(SpanFilter, expressions)
stages = st.one_of(filters, st.builds(Related, st.sampled_from(Relation), filters, filters))


def by_index(reader, query, window=EVER):
    with reader.snapshot():
        return sorted(trace.trace_id for trace, _ in matching(reader, Matcher(query), window, Deadline(60), Inspected()))


def by_looking(query, window=EVER):
    matcher = Matcher(query)
    return sorted(
        trace.trace_id
        for trace in TRACES
        if trace.start_ns <= window.end_ns and trace.end_ns >= window.start_ns and matcher.match(trace)
    )


@pytest.mark.parametrize("gathered", [0, 2_000], ids=["walked", "gathered"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(stage=stages, start=st.integers(-100, 1900), length=st.integers(0, 900), bounded=st.booleans())
def test_the_index_loses_nothing(reader, gathered, stage, start, length, bounded):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader_module, "_FEW", 1)  # the data set is small: without this the index would not be asked
        patch.setattr(reader_module, "GATHERED", gathered)
        first = tempo_dataset.BASE_S + start
        window = Window(first * SECOND, (first + length) * SECOND) if bounded else EVER
        query = search(stage)
        assert by_index(reader, query, window) == by_looking(query, window), write(query)


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ('{ span.auth.username = "alice" }', 41),
        ('{ span.auth.result = "failure" && span.auth.username =~ "ali.*" }', 41),
        ('{ resource.service.name = "legacy-crm" || span.as = "y" }', 6),
        ('{ trace:id = "ab" }', 1),
        ("{ span.nothing = 1 }", 0),
        ('{ event.exception.type = "asyncpg.exceptions.InsufficientPrivilegeError" }', 8),
        ("{ duration > 170ms }", 20),
    ],
)
def test_few_traces_are_looked_at(reader, monkeypatch, text, most):
    monkeypatch.setattr(reader_module, "_FEW", 1)
    query = parse(text)
    with reader.snapshot():
        candidates = list(reader.candidates(plan(query, reader.keys, reader.db)))
    assert len(candidates) <= most
    assert {row.trace_id.hex() for row in candidates} >= set(by_looking(query))


def test_candidates_come_newest_first(reader):
    with reader.snapshot():
        buckets = [row.bucket for row in reader.candidates(None)]
    assert buckets == sorted(buckets, reverse=True)
    assert len(buckets) == 213


def test_a_query_without_a_plan_looks_at_all(reader):
    assert plan(Query(search(span_filter()).pipeline), reader.keys, reader.db) is None
    assert plan(parse('{ !(span.a = "x") }'), reader.keys, reader.db) is None
