from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.embedded import codec
from app.traces.model import Event, Link, Resource, Scope, Span, SpanKind, Status

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
scalars = st.one_of(
    texts, st.integers(-(2**63), 2**63 - 1), st.booleans(), st.floats(allow_nan=False), st.binary(max_size=5), st.none()
)
values = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)), max_leaves=4
)
attributes = st.dictionaries(texts, values, max_size=3)
times = st.integers(0, 2**63 - 1)
TRACE = "ab" * 16


def hexes(digits):
    return st.binary(min_size=digits // 2, max_size=digits // 2).map(bytes.hex)


spans = st.builds(
    Span,
    trace_id=st.just(TRACE),
    span_id=hexes(16),
    parent_id=st.one_of(st.just(""), hexes(16)),
    name=texts,
    kind=st.sampled_from(SpanKind),
    start_ns=times,
    end_ns=times,
    attributes=attributes,
    resource=st.builds(Resource, texts, attributes),
    scope=st.builds(Scope, texts, texts, attributes),
    status=st.sampled_from(Status),
    status_message=texts,
    events=st.lists(st.builds(Event, texts, times, attributes), max_size=2).map(tuple),
    links=st.lists(st.builds(Link, st.one_of(st.just(""), hexes(32)), hexes(16), attributes), max_size=2).map(tuple),
    trace_state=texts,
    flags=st.integers(0, 2**32 - 1),
    dropped_attributes=st.integers(0, 9),
    dropped_events=st.integers(0, 9),
    dropped_links=st.integers(0, 9),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(spans, max_size=2))
def test_nothing_is_lost(given_spans):
    back = codec.decode(TRACE, [codec.encode(given_spans)])
    assert sorted(map(repr, back)) == sorted(map(repr, given_spans))


def span(attributes, resource):
    return Span(TRACE, "ab" * 8, "", "", SpanKind.SERVER, 0, 0, attributes, resource, Scope("", "", {}))


def test_spans_of_one_resource_share_it_across_parts():
    first, second = (codec.encode([span({}, Resource("shop", {"a": 1}))]) for _ in range(2))
    one, two = codec.decode(TRACE, [first, second])
    assert one.resource is two.resource


def test_resources_that_differ_in_type_only_stay_apart():
    bodies = [codec.encode([span({}, Resource("shop", {"a": value}))]) for value in (1, 1.0, True)]
    assert len({id(one.resource) for one in codec.decode(TRACE, bodies)}) == 3


def test_numbers_that_no_64_bits_hold_become_text():
    [back] = codec.decode(TRACE, [codec.encode([span({"n": 2**70, "deep": [{"n": -(2**64)}]}, Resource("shop", {}))])])
    assert back.attributes == {"n": str(2**70), "deep": [{"n": str(-(2**64))}]}
