"""What the checks on sampled traces share: the sample, who calls whom in it, and lines to paste. Pure."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from app.analysis.gaps import is_internal_address
from app.doctor import calls
from app.doctor.calls import Link
from app.doctor.facts import Facts, Missing
from app.doctor.finding import Finding, Unknown
from app.doctor.observe import Observed, Part

FEW = 3  # fewer may be an accident
ENOUGH = 10  # of what is only a habit
RARE = 0.05  # of shares below it networks are to blame

CHECK_SPAN = """\
with tracer.start_as_current_span("auth.permission_check", record_exception=False) as span:
    span.set_attribute("user.id", subject)            # before the check, so that it stands on refusals too
    allowed, reason = check(subject, resource)
    span.set_attribute("auth.result", "success" if allowed else "failure")
    if not allowed:
        span.set_attribute("auth.failure_reason", reason)  # forbidden, insufficient_scope, policy_denied, ..."""
SDK = """\
OTEL_SERVICE_NAME={service}
OTEL_EXPORTER_OTLP_ENDPOINT=http://otel-collector:4318
OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
OTEL_PROPAGATORS=tracecontext,baggage"""


Said = Iterator[Finding | Unknown]


def on_sample(look: Callable[[str, Facts, tuple[Observed, ...]], Said]) -> Callable[[str, Facts], Said]:
    """A check that looks at the sampled requests; without any it could not be made, and says why."""

    @functools.wraps(look)
    def ask(check: str, facts: Facts) -> Said:
        if isinstance(facts.traces, Missing):
            yield Unknown(check, facts.traces.why)
            return
        traces = tuple(trace for trace in facts.traces if not trace.probe)
        if not traces:
            yield Unknown(check, "The window holds no traces of requests.")
            return
        yield from look(check, facts, traces)

    return ask


def parts_of(traces: Sequence[Observed]) -> dict[str, list[tuple[Observed, Part]]]:
    found: dict[str, list[tuple[Observed, Part]]] = defaultdict(list)
    for trace in traces:
        for part in trace.parts:
            found[part.service].append((trace, part))
    return found


def of(n: int, of: int, what: str) -> str:
    return f"{n:,} of {of:,} {what}"


def links(facts: Facts) -> tuple[Link, ...]:
    if isinstance(facts.traces, Missing):
        return ()
    return calls.links(facts.traces, services_of(facts))


def services_of(facts: Facts) -> set[str]:
    """Every service that was seen to send spans, in the sample, in the window or before it."""
    found: set[str] = set()
    if not isinstance(facts.traces, Missing):
        found |= {part.service for trace in facts.traces for part in trace.parts}
    for counts in (facts.spans, facts.before):
        if not isinstance(counts, Missing):
            found |= set(counts)
    return found


def suspects(facts: Facts) -> tuple[str, ...]:
    """Services that are called without that the other end is seen: worth asking for traces that begin in them."""
    return tuple(dict.fromkeys(link.callee for link in links(facts) if link.callee and link.open >= 1))[:10]


def detached(facts: Facts) -> set[str]:
    """Services that are called without that the other end is seen, and in which traces begin as if from nowhere: no entries."""
    return {link.callee for link in links(facts) if link.callee and link.open and len(halves_of(facts, link.callee)) >= FEW}


def halves_of(facts: Facts, service: str) -> tuple[str, ...]:
    """Traces that begin in a service and name no client from outside: second halves of requests, by the look of them."""
    if isinstance(facts.traces, Missing):
        return ()
    outside = {
        trace.trace_id for trace in facts.traces if trace.client_address and not is_internal_address(trace.client_address)
    }
    return tuple(trace_id for trace_id in roots_of(facts.traces, service) if trace_id not in outside)


def speaks(facts: Facts, service: str) -> bool:
    if not isinstance(facts.spans, Missing):
        return facts.spans.get(service, 0) > 0
    return not isinstance(facts.traces, Missing) and any(p.service == service for t in facts.traces for p in t.parts)


def roots_of(traces: Sequence[Observed], service: str) -> tuple[str, ...]:
    return tuple(trace.trace_id for trace in traces if any(p.service == service and p.roots for p in trace.parts))
