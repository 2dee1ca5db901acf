"""The panels' questions to Tempo, as TraceQL metrics: what there is to know without Prometheus. Pure.

They count spans of traces that were kept: where traces are sampled, successes are a part of what happened.
"""

from __future__ import annotations

from app.investigation import conditions
from app.traceql import nodes
from app.traceql.nodes import Field, Intrinsic, Measure, OverTime, Query, SpanFilter, TopK
from app.traceql.write import write

MOST_SOURCES = 10
# An address may stand under two names; what is merged afterwards is cut afterwards.
_TUPLES = 3 * MOST_SOURCES
MOST_SERVICES = 15

RESULT = nodes.span("auth.result")
SERVICE = nodes.resource("service.name")
# Who asked: the address by its present and its older name, else the subnet that a service or the Collector wrote.
SOURCE: tuple[Field, ...] = (nodes.span("client.address"), nodes.span("net.peer.ip"), nodes.span("auth.client.subnet"))
# At most five names may be grouped by.
USER: tuple[Field, ...] = (nodes.span("user.hash"), nodes.span("user.name"), nodes.span("auth.username"))

_CHECKS = nodes.span_filter(conditions.counted_auth_spans())
_REFUSED = nodes.span_filter(nodes.eq(RESULT, "failure"))
_NAMED_CHECKS = nodes.span_filter(nodes.matches(Intrinsic.NAME, conditions.whole("auth[.].+")))
_FAILED_LOGINS = nodes.span_filter(nodes.eq(Intrinsic.NAME, "auth.login"), nodes.eq(RESULT, "failure"))


def sources() -> str:
    """The addresses that were refused most."""
    return _text(_REFUSED, OverTime(Measure.COUNT, by=SOURCE), TopK(_TUPLES))


def results() -> str:
    """Checks by step and result, for each point of a curve."""
    return _text(_CHECKS, OverTime(Measure.COUNT, by=(Intrinsic.NAME, RESULT)))


def names() -> str:
    """Failed log-ins by source and name."""
    return _text(_FAILED_LOGINS, OverTime(Measure.COUNT, by=(*SOURCE[:2], *USER)))


def refusals() -> str:
    """Refusals by service and step."""
    return _text(_REFUSED, OverTime(Measure.COUNT, by=(SERVICE, Intrinsic.NAME)), TopK(MOST_SERVICES))


def durations() -> str:
    """How long checks took, as a histogram for each step."""
    return _text(_NAMED_CHECKS, OverTime(Measure.HISTOGRAM, of=Intrinsic.DURATION, by=(Intrinsic.NAME,)))


def refused() -> str:
    """The refused traces themselves: their verdicts name the layer."""
    return write(nodes.search(_REFUSED))


def traces_of(query: str) -> str:
    """The search for the spans that a metrics query counts."""
    return query.partition(" | ")[0]


def _text(spans: SpanFilter, measure: OverTime, *second: TopK) -> str:
    query: Query = nodes.measure(spans, measure, *second)
    return write(query)
