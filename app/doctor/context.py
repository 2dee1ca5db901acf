"""How whole traces are: context between services, hops without spans, lost parents, clocks. Pure.

A finding needs enough traces to be no accident, and shares below a twentieth are what networks do to spans.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import median

import msgspec

from app.doctor import calls
from app.doctor.calls import Link
from app.doctor.facts import Facts
from app.doctor.finding import Finding, Severity, for_shell, found
from app.doctor.observe import Observed
from app.doctor.sampled import (
    CHECK_SPAN,
    ENOUGH,
    FEW,
    RARE,
    SDK,
    Said,
    halves_of,
    links,
    of,
    on_sample,
    parts_of,
    roots_of,
    speaks,
)
from app.times import MILLISECOND, SECOND, format_duration

_SKEW = 50 * MILLISECOND
_SKEW_HARMFUL = 1 * SECOND

_PROPAGATE = """\
# Python: opentelemetry-instrument does it; by hand, around each outgoing call:
from opentelemetry import propagate
propagate.inject(headers)
# Go: otel.SetTextMapPropagator(propagation.TraceContext{}), then otelhttp.NewTransport(http.DefaultTransport)
# A proxy in between has to pass on the headers traceparent and tracestate."""


class _Lost(msgspec.Struct, frozen=True):
    """A service to which context does not come. them: all calls to it; lost: those without their other end.

    by_some: others reach it with their context, so that the fault lies with the callers of `lost`, not with the way in
    """

    callee: str
    them: tuple[Link, ...]
    lost: tuple[Link, ...]
    by_some: bool
    roots: tuple[str, ...]


def _losses(facts: Facts, traces: Sequence[Observed]) -> Iterator[_Lost]:
    callees: dict[str, list[Link]] = defaultdict(list)
    for link in links(facts):
        if link.callee:
            callees[link.callee].append(link)
    for callee, them in sorted(callees.items()):
        roots = facts.roots.get(callee, ()) or roots_of(traces, callee)
        # A call without its other end proves little; with traces that begin there from nowhere, both halves have been seen.
        few = FEW - 1 if len(halves_of(facts, callee)) >= FEW else FEW
        lost = tuple(link for link in them if link.open >= few and link.open > link.calls * RARE)
        if lost and roots and speaks(facts, callee):
            by_some = any(link not in lost and link.answered >= FEW for link in them)
            yield _Lost(callee, tuple(them), lost, by_some, roots)


@on_sample
def propagation_in(check: str, facts: Facts, traces: tuple[Observed, ...]) -> Said:
    """Does the trace context arrive at every service?"""
    for one in _losses(facts, traces):
        if one.by_some:
            continue
        callers = ", ".join(sorted({link.caller for link in one.lost})[:5])
        yield _cut(
            check,
            one.callee,
            f"{one.callee} begins traces of its own although {callers} called it: the context is lost on the way in.",
            f"Let {one.callee}, and every proxy in front of it, read and pass on the header traceparent.",
            one,
        )


@on_sample
def propagation_out(check: str, facts: Facts, traces: tuple[Observed, ...]) -> Said:
    """Does every service pass its trace context on?"""
    for one in _losses(facts, traces):
        for link in one.lost if one.by_some else ():
            yield _cut(
                check,
                link.caller,
                f"{link.caller} calls {one.callee} without its trace context; other callers pass it on.",
                f"Let {link.caller} put the header traceparent on its calls to {one.callee}.",
                msgspec.structs.replace(one, them=(link,), lost=(link,)),
            )


def _cut(check: str, subject: str, title: str, remedy: str, one: _Lost) -> Finding:
    missing, total = sum(link.open for link in one.lost), sum(link.calls for link in one.them)
    # The caller's half of a request, then one that begins in the callee, and so on.
    halves = [trace_id for pair in zip(one.lost[0].evidence, one.roots, strict=False) for trace_id in pair]
    return found(
        check,
        Severity.BROKEN if missing > total / 2 else Severity.HARMFUL,
        subject,
        title,
        detail=f"What {one.callee} decides stands in another trace, and the verdict on the request does not see it.",
        measured=of(missing, total, f"calls to {one.callee}"),
        evidence=halves,
        remedy=remedy,
        paste=_PROPAGATE,
        language="python",
    )


@on_sample
def uninstrumented(check: str, facts: Facts, traces: tuple[Observed, ...]) -> Said:
    """Are there services of the house that are called and send no spans?"""
    by_peer: dict[str, list[Link]] = defaultdict(list)
    for link in links(facts):
        if link.open >= 1 and not link.answered and (not link.callee or not speaks(facts, link.callee)):
            by_peer[link.callee or link.peer].append(link)
    for peer, them in sorted(by_peer.items()):
        count = sum(link.open for link in them)
        known = any(link.callee for link in them)
        if count < FEW or not peer or not (known or calls.is_house(peer)):
            continue
        asked = any(link.asked for link in them)
        touched = {trace_id for link in them for trace_id in link.evidence}
        often = len(touched) > len(traces) * 0.2
        callers = ", ".join(sorted({link.caller for link in them})[:5])
        yield found(
            check,
            Severity.HARMFUL if asked or often or known else Severity.WEAK,
            peer,
            f"{peer} is called by {callers} and sends no spans.",
            detail="It is asked for decisions, and what it thought is not seen."
            if asked
            else "What it checks, refuses or changes is not seen.",
            measured=f"{count:,} calls in {len(touched):,} of {len(traces):,} traces",
            evidence=[trace_id for link in them for trace_id in link.evidence],
            remedy=f"Run {peer} with an OpenTelemetry SDK; docs/telemetry.md and examples/ show how.",
            paste=SDK.format(service=for_shell(peer if known else peer.partition(":")[0].partition(".")[0])),
            language="shell",
        )


@on_sample
def missing_hops(check: str, facts: Facts, traces: tuple[Observed, ...]) -> Said:
    """Are there calls whose other end was recorded elsewhere or not at all, though the service sends spans?"""
    for link in links(facts):
        roots = facts.roots.get(link.callee, ()) or roots_of(traces, link.callee)
        if not link.callee or link.open < FEW or link.open <= link.calls * RARE or roots or not speaks(facts, link.callee):
            continue
        yield found(
            check,
            Severity.HARMFUL if link.open > link.calls * 0.2 else Severity.WEAK,
            link.callee,
            f"{link.caller} called {link.callee}, and the span for it is missing though {link.callee} sends others.",
            detail="Its spans are sampled or lost on their own: the part of the trace that may hold the refusal is not stored.",
            measured=of(link.open, link.calls, "calls"),
            evidence=link.evidence,
            remedy="Sample whole traces: parent-based samplers in the services, the decision in the Collector alone.",
            paste="OTEL_TRACES_SAMPLER=parentbased_always_on",
            language="shell",
        )


@on_sample
def orphans(check: str, facts: Facts, traces: tuple[Observed, ...]) -> Said:
    """Do traces lack the spans that others name as their parents?"""
    old = [trace for trace in traces if not trace.fresh]
    torn = [trace for trace in old if any(part.orphans for part in trace.parts)]
    if len(torn) < FEW or len(torn) <= len(old) * 0.02:
        return
    below = Counter(part.service for trace in torn for part in trace.parts if part.orphans)
    yield found(
        check,
        Severity.HARMFUL if len(torn) > len(old) * RARE else Severity.WEAK,
        below.most_common(1)[0][0],
        "Spans name parents that were never stored.",
        detail=f"Most often below a lost span: {', '.join(name for name, _ in below.most_common(3))}. "
        "The caller of these is not in the trace: its exporter, a queue or its sampling lost the span.",
        measured=of(len(torn), len(old), "traces"),
        evidence=[trace.trace_id for trace in torn],
        remedy="Look at the exporters of the services that call these, and at the Collector's queue and refusals.",
        paste="OTEL_BSP_MAX_QUEUE_SIZE=16384\nOTEL_BSP_EXPORT_TIMEOUT=10000",
        language="shell",
    )


@on_sample
def single_spans(check: str, facts: Facts, traces: tuple[Observed, ...]) -> Said:
    """Do traces consist of more than the entry?"""
    entries: dict[str, list[Observed]] = defaultdict(list)
    for trace in traces:
        if trace.entry:
            entries[trace.entry].append(trace)
    for service, seen in sorted(entries.items()):
        lone = [trace for trace in seen if trace.spans == 1]
        if len(lone) < ENOUGH or len(lone) <= len(seen) / 2:
            continue
        yield found(
            check,
            Severity.WEAK,
            service,
            f"Most traces that begin in {service} are a single span.",
            detail="Nothing below the entry is instrumented, or it begins traces of its own.",
            measured=of(len(lone), len(seen), "traces"),
            evidence=[trace.trace_id for trace in lone],
            remedy=f"Instrument the clients that {service} calls with, and put spans around its checks.",
            paste=CHECK_SPAN,
            language="python",
        )


@on_sample
def clock_skew(check: str, facts: Facts, traces: tuple[Observed, ...]) -> Said:
    """Do the services' clocks agree?"""
    entries = {trace.entry for trace in traces}
    moved: dict[str, list[tuple[Observed, int]]] = {}
    for service, seen in parts_of(traces).items():
        called = [(trace, part.shift_ns) for trace, part in seen if part.from_others and trace.entry != service]
        shifted = [(trace, shift) for trace, shift in called if abs(shift) >= _SKEW]
        if len(shifted) >= FEW and len(shifted) > len(called) * 0.1:
            moved[service] = shifted
    for subject, shift, evidence in _clocks(moved, entries):
        ahead = "ahead of" if shift < 0 else "behind"
        yield found(
            check,
            Severity.HARMFUL if abs(shift) >= _SKEW_HARMFUL else Severity.WEAK,
            subject,
            f"The clock of {subject} is {format_duration(abs(shift))} {ahead} those it works with.",
            detail="Clew corrects it within a trace by the calls; where calls are missing, what came first is not known. "
            "Searches by time find these spans at the wrong moment.",
            measured=f"{format_duration(abs(shift))} in {len(evidence):,} traces",
            evidence=[trace.trace_id for trace in evidence],
            remedy=f"Keep the machine of {subject} on NTP.",
            paste="timedatectl set-ntp true && timedatectl timesync-status",
            language="shell",
        )


def _clocks(moved: Mapping[str, list[tuple[Observed, int]]], entries: set[str]) -> Iterator[tuple[str, int, list[Observed]]]:
    """Whose clock is wrong: that of each moved service, or the entry's where all others had to be moved alike."""
    shifts = {service: int(median([shift for _, shift in seen])) for service, seen in moved.items()}
    values = list(shifts.values())
    if len(entries) == 1 and len(values) > 1 and max(values) - min(values) <= 0.2 * abs(median(values)):
        traces = list({trace.trace_id: trace for seen in moved.values() for trace, _ in seen}.values())
        yield next(iter(entries)), -int(median(values)), traces
        return
    for service, seen in sorted(moved.items()):
        yield service, shifts[service], [trace for trace, _ in seen]


@on_sample
def partial(check: str, facts: Facts, traces: tuple[Observed, ...]) -> Said:
    """Does the backend give out whole traces?"""
    cut = [trace for trace in traces if trace.partial]
    if not cut:
        return
    yield found(
        check,
        Severity.HARMFUL,
        "Tempo",
        "Tempo says itself that it returns traces in part.",
        detail="They are larger than it stores or returns, and what is cut off may hold the refusal.",
        measured=of(len(cut), len(traces), "traces"),
        evidence=[trace.trace_id for trace in cut],
        remedy="Raise the largest size of a trace in Tempo's overrides.",
        paste="overrides:\n  defaults:\n    global: {max_bytes_per_trace: 50000000}",
        language="yaml",
    )
