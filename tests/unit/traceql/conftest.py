import itertools

import pytest

from app.traceql.fetch import TraceSpans
from app.traceql.match import Matcher
from app.traceql.parse import parse
from app.traces.model import Resource, Scope, Span

TRACE = "000000000000000000000000000000ab"
SECOND = 1_000_000_000


@pytest.fixture
def make_span():
    """Spans with little to say: make_span("auth.login", parent=root, at=0.1, lasts=0.05, service="identity", **{"a.b": 1})."""
    numbers = itertools.count(1)
    resources: dict[str, Resource] = {}

    def make(name="span", *, parent=None, at=0.0, lasts=0.001, service="shop", resource=None, library="lib", **fields):
        own = {key: fields.pop(key) for key in list(fields) if key in Span.__struct_fields__ and key != "attributes"}
        key = repr((service, resource))
        if key not in resources:
            resources[key] = Resource(service, {"service.name": service, **(resource or {})})
        start = 1_000 * SECOND + int(at * SECOND)
        given = {
            "trace_id": TRACE,
            "span_id": f"{next(numbers):016x}",
            "parent_id": parent.span_id if parent is not None else "",
            "name": name,
            "kind": 1,
            "start_ns": start,
            "end_ns": start + int(lasts * SECOND),
            "attributes": fields.pop("attributes", fields),
            "resource": resources[key],
            "scope": Scope(library, "1.0", {}),
            **own,
        }
        from app.traces.model import SpanKind

        given["kind"] = SpanKind(given["kind"])
        return Span(**given)

    return make


@pytest.fixture
def found():
    """Names of the spans that a query finds among the spans of one trace, set by set."""

    def find(query, *spans):
        return [[row.span.name for row in one.rows] for one in Matcher(parse(query)).match(TraceSpans(TRACE, spans))]

    return find
