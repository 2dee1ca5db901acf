"""What the sampled traces lack: auth signals, who asked and from where, context, hops, services. Pure.

A finding needs enough traces to be no accident: `FEW` is the least, and shares below `RARE` are what networks do to spans.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from app.analysis.gaps import is_internal_address
from app.analysis.verdict import Confidence, Outcome
from app.doctor.facts import Facts, Missing
from app.doctor.finding import Severity, Unknown, for_shell, found
from app.doctor.observe import Observed
from app.doctor.sampled import CHECK_SPAN, ENOUGH, FEW, RARE, SDK, Said, detached, links, of, on_sample, parts_of

_SPOKE = 20  # expected spans, below which silence may be chance


# ------------------------------------------------------------------------------------------------------------ silence


def fresh(check: str, facts: Facts) -> Said:
    """Do traces arrive at all?"""
    if isinstance(facts.spans, Missing):
        if isinstance(facts.traces, Missing):
            yield Unknown(check, facts.spans.why)
            return
        arrived = bool(facts.traces)
    else:
        arrived = bool(sum(facts.spans.values())) or (not isinstance(facts.traces, Missing) and bool(facts.traces))
    if arrived:
        return
    before = 0 if isinstance(facts.before, Missing) else sum(facts.before.values())
    yield found(
        check,
        Severity.BROKEN,
        "Tempo",
        "No span has arrived in this window." + (" In the window before it there were." if before else ""),
        detail="An empty list of traces means nothing while this lasts.",
        measured=f"0 spans; {before:,} in the window before",
        remedy="Look at the way from the services to Tempo: exporters, Collector, Tempo's own log.",
        paste="curl -sS http://otel-collector:8888/metrics | grep -E 'otelcol_(receiver|exporter)_.*_spans'",
        language="shell",
    )


def silent(check: str, facts: Facts) -> Said:
    """Are there services that spoke in the window before and do not any more?"""
    if isinstance(facts.spans, Missing) or isinstance(facts.before, Missing):
        missing = facts.spans if isinstance(facts.spans, Missing) else facts.before
        assert isinstance(missing, Missing)
        yield Unknown(check, missing.why)
        return
    if not sum(facts.spans.values()):
        yield Unknown(check, "No service sends anything in this window.")
        return
    if not sum(facts.before.values()):
        yield Unknown(check, "There is nothing before this window to compare it with.")
        return
    called = {link.callee for link in links(facts)}
    # Where less comes in altogether, silence of one may be chance.
    ebb = min(1.0, sum(facts.spans.values()) / sum(facts.before.values()))
    for service, count in sorted(facts.before.items()):
        if count * ebb < _SPOKE or facts.spans.get(service, 0):
            continue
        still = service in called
        yield found(
            check,
            Severity.BROKEN if still else Severity.HARMFUL,
            service,
            f"{service} sent {count:,} spans in the window before and none in this one.",
            detail="It is still called, so that what it decides is not seen."
            if still
            else "Its traffic ended, or its instrumentation did. In the second case attacks on it are not seen.",
            measured=f"0 spans; {count:,} before",
            remedy=f"Look whether {service} runs, and what its log says about exporting spans.",
            paste=SDK.format(service=for_shell(service)),
            language="shell",
        )


# ------------------------------------------------------------------------------------------------------------ signals


@on_sample
def auth_signals(check: str, facts: Facts, traces: tuple[Observed, ...]) -> Said:
    """Do services that refuse say so on a span, and why?"""
    if len(traces) >= ENOUGH and not any(trace.has_auth for trace in traces):
        yield found(
            check,
            Severity.BROKEN,
            "all services",
            "No span in the sample says anything of authentication or authorization.",
            detail="Every verdict is: no evidence. No alert of deploy/prometheus can fire.",
            measured=of(0, len(traces), "traces"),
            evidence=[trace.trace_id for trace in traces],
            remedy="Put a span around each check and say how it ended.",
            paste=CHECK_SPAN,
            language="python",
        )
        return
    for service, seen in sorted(parts_of(traces).items()):
        refusals = sum(part.refusals for _, part in seen)
        mute = sum(part.silent for _, part in seen)
        if mute < FEW or mute <= refusals * RARE:
            continue
        yield found(
            check,
            Severity.HARMFUL if mute > refusals * 0.2 else Severity.WEAK,
            service,
            f"{service} refuses requests without a span that says why.",
            detail="Of such a refusal only the status is known: who decided and for what reason is a guess.",
            measured=of(mute, refusals, "refusals"),
            evidence=[trace.trace_id for trace, part in seen if part.silent],
            remedy=f"Put a span around the check in {service} and set auth.result and auth.failure_reason on it.",
            paste=CHECK_SPAN,
            language="python",
        )


@on_sample
def unchecked(check: str, facts: Facts, traces: tuple[Observed, ...]) -> Said:
    """Which entries take requests on which no check is seen?"""
    entries: dict[str, list[Observed]] = defaultdict(list)
    for trace in traces:
        if trace.entry:
            entries[trace.entry].append(trace)
    for service, seen in sorted(entries.items()):
        bare = [trace for trace in seen if not trace.has_auth]
        if len(bare) < ENOUGH or len(bare) <= len(seen) / 2 or not any(trace.has_auth for trace in traces):
            continue
        yield found(
            check,
            Severity.WEAK,
            service,
            f"Most requests that enter at {service} show no auth check at all.",
            detail="They may be public. If they are not, a bypass of their checks would look the same.",
            measured=of(len(bare), len(seen), "traces"),
            evidence=[trace.trace_id for trace in bare],
            remedy="Put a span around the checks of these routes, the passed ones included.",
            paste=CHECK_SPAN,
            language="python",
        )


@on_sample
def verdicts(check: str, facts: Facts, traces: tuple[Observed, ...]) -> Said:
    """Are the verdicts on refused and failed requests sure?"""
    loud = [t for t in traces if t.outcome not in (Outcome.ALLOWED, Outcome.NO_AUTH_EVIDENCE) and not t.fresh]
    unsure = [t for t in loud if t.outcome is Outcome.INCONCLUSIVE or t.confidence is Confidence.LOW]
    if len(unsure) < FEW or len(unsure) <= len(loud) * 0.1:
        return
    settles = Counter(trace.settles for trace in unsure if trace.settles).most_common(1)
    yield found(
        check,
        Severity.HARMFUL if len(unsure) > len(loud) * 0.3 else Severity.WEAK,
        "verdicts",
        "Verdicts on refused or failed requests are often unsure.",
        detail="What would settle most of them: " + settles[0][0] if settles else "",
        measured=of(len(unsure), len(loud), "verdicts"),
        evidence=[trace.trace_id for trace in unsure],
        remedy="Mend the findings on signals and context first: most unsure verdicts come of them.",
    )


@on_sample
def client_address(check: str, facts: Facts, traces: tuple[Observed, ...]) -> Said:
    """Do entries say from where a request came?"""
    entries: dict[str, list[Observed]] = defaultdict(list)
    # The second half of a request is no entry: that its context was lost is told by another check.
    halves = detached(facts)
    for trace in traces:
        if trace.entry and trace.has_auth and trace.entry not in halves:
            entries[trace.entry].append(trace)
    for service, seen in sorted(entries.items()):
        without = [trace for trace in seen if not trace.client_address]
        known = {trace.client_address for trace in seen if trace.client_address}
        if len(without) >= FEW and len(without) > len(seen) * RARE:
            yield found(
                check,
                Severity.HARMFUL if len(without) > len(seen) / 2 else Severity.WEAK,
                service,
                f"{service} does not say from which address requests come.",
                detail="Attacks cannot be told apart by their source, and alerts by subnet do not see them.",
                measured=of(len(without), len(seen), "entries"),
                evidence=[trace.trace_id for trace in without],
                remedy=f"Set client.address on the SERVER span of {service}, from the proxy header that you trust.",
                paste='span.set_attribute("client.address", address_of_the_client)  # without port, never the proxy',
                language="python",
            )
        elif len(seen) >= 2 * ENOUGH and len(known) == 1 and is_internal_address(next(iter(known))):
            yield found(
                check,
                Severity.WEAK,
                service,
                f"All requests at {service} seem to come from one internal address: that of a proxy.",
                detail="The address recorded is that of the last hop, not of the client.",
                measured=of(1, len(seen), "addresses"),
                evidence=[trace.trace_id for trace in seen],
                remedy=f"Set client.address on the SERVER span of {service}, from the proxy header that you trust.",
                paste='span.set_attribute("client.address", address_of_the_client)  # without port, never the proxy',
                language="python",
            )


@on_sample
def principal(check: str, facts: Facts, traces: tuple[Observed, ...]) -> Said:
    """Is it known who asked?"""
    checked = [trace for trace in traces if trace.has_auth]
    without = [trace for trace in checked if not trace.principal]
    if len(without) < ENOUGH or len(without) <= len(checked) / 2:
        return
    services = Counter(part.service for trace in without for part in trace.parts if part.checks)
    subject = services.most_common(1)[0][0] if services else without[0].entry
    yield found(
        check,
        Severity.WEAK,
        subject,
        "On most requests that were checked it is not recorded who asked.",
        detail="What one person did cannot be followed from trace to trace.",
        measured=of(len(without), len(checked), "traces"),
        evidence=[trace.trace_id for trace in without],
        remedy="Set user.id (opaque), or user.hash for log-ins, on the auth spans before the check.",
        paste='span.set_attribute("user.id", subject)',
        language="python",
    )
