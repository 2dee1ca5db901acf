"""The tree is repaired and everything that was wrong is listed; no span vanishes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import NotATrace
from app.times import MILLISECOND as MS
from app.traces.build import build
from app.traces.model import DefectKind, Resource, Scope, Span, SpanKind, Trace
from app.traces.otlp import Decoded

BASE = 1_790_000_000_000_000_000
RESOURCES: dict[str, Resource] = {}
SCOPE = Scope("test", "", {})


def span(span_id, parent="", start=0, end=100, service="gateway", kind=SpanKind.INTERNAL, trace="a" * 32, **fields):
    """`start` and `end` in milliseconds of the test's clock."""
    resource = RESOURCES.setdefault(service, Resource(service, {"service.name": service}))
    start_ns, end_ns = (BASE + start * MS if start is not None else 0), (BASE + end * MS if end is not None else 0)
    return Span(
        trace, f"{span_id:016x}", f"{parent:016x}" if parent else "", f"s{span_id}", kind, start_ns, end_ns,
        fields.pop("attributes", {}), resource, SCOPE, **fields,
    )  # fmt: skip


def built(*spans, **decoded) -> Trace:
    return build(Decoded(list(spans), **decoded))


def kinds(trace: Trace) -> set[DefectKind]:
    return {d.kind for d in trace.defects}


def node(trace: Trace, span_id: int):
    return trace.by_id[f"{span_id:016x}"]


def test_children_hang_below_their_parents_in_order_of_start():
    trace = built(span(3, 1, 50, 60), span(1, 0, 0, 100), span(2, 1, 10, 20), span(4, 2, 12, 14))
    assert [n.span.name for n in trace.nodes] == ["s1", "s2", "s4", "s3"]
    assert [n.depth for n in trace.nodes] == [0, 1, 2, 1]
    assert not trace.defects


def test_a_lost_parent_makes_a_root_that_says_so():
    trace = built(span(1), span(2, 99))
    assert [(r.span.name, r.lost_parent) for r in trace.roots] == [("s1", False), ("s2", True)]
    assert kinds(trace) == {DefectKind.ORPHAN_SPANS}


def test_several_roots_are_listed_and_the_whole_earliest_is_the_entry():
    trace = built(span(1, 99, start=-50), span(2, 0, 5, service="orders"), span(3, 0, 1))
    assert [r.span.name for r in trace.roots] == ["s3", "s2", "s1"]
    assert kinds(trace) == {DefectKind.MULTIPLE_ROOTS, DefectKind.ORPHAN_SPANS}


def test_a_span_delivered_twice_counts_once_and_the_fuller_copy_stays():
    trace = built(span(1, end=10), span(1, end=10, attributes={"http.route": "/x"}))
    assert len(trace) == 1
    assert trace.nodes[0].span.attributes == {"http.route": "/x"}
    assert [(d.kind, d.count) for d in trace.defects] == [(DefectKind.DUPLICATE_SPANS, 1)]


def test_a_client_and_a_server_that_share_an_id_are_two_spans_of_one_call():
    trace = built(
        span(1),
        span(2, 1, 10, 50, kind=SpanKind.CLIENT),
        span(2, 1, 15, 45, kind=SpanKind.SERVER, service="orders"),
        span(3, 2, 20, 30, service="orders"),
        span(4, 2, 16, 17),
    )
    client, server = trace.nodes[1], trace.by_id[f"{2:016x}"]
    assert server.span.kind is SpanKind.SERVER
    assert server.parent is client
    assert node(trace, 3).parent is server, "the server's own child"
    assert node(trace, 4).parent is client, "the caller's own child"
    assert not trace.defects


def test_spans_in_a_circle_stay_and_the_earliest_becomes_a_root():
    trace = built(span(1, 3, 5), span(2, 1, 1), span(3, 2, 9), span(4, 3, 10))
    assert len(trace) == 4
    assert [r.span.name for r in trace.roots] == ["s2"]
    assert [(d.kind, d.count) for d in trace.defects] == [(DefectKind.PARENT_CYCLE, 3)]


def test_a_span_that_is_its_own_parent_stays():
    trace = built(span(1, 1), span(2, 1))
    assert [n.span.name for n in trace.nodes] == ["s1", "s2"]
    assert kinds(trace) == {DefectKind.PARENT_CYCLE}


def test_a_clock_ahead_is_corrected_for_the_whole_service_and_measured():
    trace = built(
        span(1, 0, 0, 100),
        span(2, 1, 10, 60, kind=SpanKind.CLIENT),
        span(3, 2, 435, 475, service="orders", kind=SpanKind.SERVER),
        span(4, 3, 440, 450, service="orders"),
    )
    server = node(trace, 3)
    assert server.shift_ns == -420 * MS
    assert (server.start_ns, server.end_ns) == (BASE + 15 * MS, BASE + 55 * MS)
    assert node(trace, 4).start_ns == BASE + 20 * MS
    assert server.span.start_ns == BASE + 435 * MS, "the record itself is not altered"
    [defect] = trace.defects
    assert (defect.kind, defect.skew_ns) == (DefectKind.CLOCK_SKEW, 420 * MS)
    assert "orders is 420.0 ms ahead of that of gateway" in defect.detail


def test_a_clock_behind_is_corrected_too():
    trace = built(span(1, 0, 0, 100, kind=SpanKind.CLIENT), span(2, 1, -500, -420, service="orders", kind=SpanKind.SERVER))
    assert node(trace, 2).shift_ns == 510 * MS
    assert trace.defects[0].skew_ns == -510 * MS


def test_a_known_offset_is_kept_for_later_calls_to_the_same_host():
    trace = built(
        span(1, 0, 0, 1000),
        span(2, 1, 0, 100, kind=SpanKind.CLIENT),
        span(3, 2, 5010, 5090, service="orders", kind=SpanKind.SERVER),
        span(4, 1, 500, 900, kind=SpanKind.CLIENT),
        span(5, 4, 5520, 5530, service="orders", kind=SpanKind.SERVER),
    )
    assert node(trace, 5).shift_ns == node(trace, 3).shift_ns == -5000 * MS


@pytest.mark.parametrize(
    ("start", "end", "kind", "why"),
    [
        (30, 5000, SpanKind.SERVER, "work may go on after the answer"),
        (5000, 5100, SpanKind.CONSUMER, "a message may wait"),
        (9.5, 99, SpanKind.SERVER, "half a millisecond is rounding"),
    ],
)
def test_what_is_possible_is_no_skew(start, end, kind, why):
    trace = built(span(1, 0, 10, 100, kind=SpanKind.CLIENT), span(2, 1, int(start * 10) / 10, end, service="o", kind=kind))
    assert not trace.defects, why
    assert node(trace, 2).shift_ns == 0


@pytest.mark.parametrize(("start", "end"), [(None, 100), (0, None), (50, 40)])
def test_broken_times_are_listed_and_bend_nothing(start, end):
    trace = built(span(1, 0, 0, 100), span(2, 1, start, end, service="orders", kind=SpanKind.SERVER))
    assert kinds(trace) == {DefectKind.BROKEN_TIMESTAMPS}
    broken = node(trace, 2)
    assert broken.end_ns >= broken.start_ns >= BASE


def test_losses_that_the_sender_or_the_backend_admits_are_listed():
    trace = built(span(1, dropped_attributes=4), partial=True, note="too large")
    assert [d.kind for d in trace.defects] == [DefectKind.TRUNCATED_TRACE] * 2
    assert "too large" in trace.defects[0].detail
    assert trace.partial


def test_spans_of_another_trace_are_listed_and_left_out():
    trace = built(span(1), span(2, 1), span(3, trace="b" * 32))
    assert trace.trace_id == "a" * 32
    assert [(d.kind, d.count) for d in trace.defects] == [(DefectKind.FOREIGN_SPANS, 1)]


def test_no_spans_is_no_trace():
    with pytest.raises(NotATrace):
        built()


def test_a_very_deep_chain_is_only_long():
    trace = built(*[span(i, i - 1, i, 200_000, service=f"s{i % 3}") for i in range(1, 100_001)])
    assert trace.nodes[-1].depth == 99_999
    assert sum(1 for _ in trace.roots[0].walk()) == 100_000


SPANS = st.builds(
    span,
    st.integers(1, 8),
    st.integers(0, 9),
    st.one_of(st.none(), st.integers(-1000, 1000)),
    st.one_of(st.none(), st.integers(-1000, 1000)),
    st.sampled_from(["gateway", "orders", "policy"]),
    st.sampled_from(SpanKind),
    st.sampled_from(["a" * 32, "a" * 32, "a" * 32, "b" * 32]),
)


@given(st.lists(SPANS, min_size=1, max_size=20))
def test_spans_out_and_spans_listed_add_up_to_spans_in(spans):
    trace = built(*spans)
    listed = sum(d.count for d in trace.defects if d.kind in (DefectKind.DUPLICATE_SPANS, DefectKind.FOREIGN_SPANS))
    assert len(trace.nodes) + listed == len(spans)
    assert [n.index for n in trace.nodes] == list(range(len(trace.nodes)))
    reached = [n for root in trace.roots for n in root.walk()]
    assert {id(n) for n in reached} == {id(n) for n in trace.nodes}
    assert len(reached) == len(trace.nodes)
    for n in trace.nodes:
        assert n.end_ns >= n.start_ns
        assert n.parent is None or n in n.parent.children


@given(st.lists(SPANS, min_size=1, max_size=12), st.randoms())
def test_the_order_in_which_spans_arrive_changes_nothing(spans, random):
    # A span id delivered with different contents has no truth to agree on; keep the first of each.
    unique = list({(s.span_id, s.kind): s for s in spans}.values())
    shuffled = random.sample(unique, len(unique))

    def shape(trace):
        return sorted(
            (n.span.span_id, n.span.kind, n.parent.span.span_id if n.parent else "", n.start_ns) for n in trace.nodes
        )  # fmt: skip

    assert shape(built(*unique)) == shape(built(*shuffled))
