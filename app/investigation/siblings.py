"""Requests like one that was refused, and let through: found in Tempo near in time, judged, the nearest first.

The search asks for the same entry: service, operation, and an answer that is no refusal. What it finds is a guess until it
is judged; only a trace whose verdict is `allowed`, or that shows no check and answered well, is one to compare with.
"""

from __future__ import annotations

import msgspec

from app.analysis import operations
from app.analysis.verdict import Outcome, Verdict
from app.investigation import conditions
from app.investigation.judgements import Judged, Judgements
from app.sources.tempo import TempoClient
from app.sources.values import FoundTrace
from app.times import HOUR, MINUTE, UnixNanos
from app.traceql import nodes, write
from app.traceql.nodes import Expression, Intrinsic
from app.traces import semconv
from app.traces.model import Node, Span, SpanKind, Trace

# How far around the refused request, step by step until one is found: the nearer, the more likely all else was equal.
REACHES = (2 * MINUTE, 20 * MINUTE, 3 * HOUR)
_FOUND, _JUDGED = 60, 12  # asked of Tempo, and judged, for each step
_JUDGE_S = 6.0
_COMPARED = (Outcome.ALLOWED, Outcome.NO_AUTH_EVIDENCE)


class Sibling(msgspec.Struct, frozen=True):
    """A request that was let through. apart_ns: how long after the refused one it began; negative before."""

    trace_id: str
    name: str
    start_ns: UnixNanos
    apart_ns: int
    verdict: Judged


class Siblings(msgspec.Struct, frozen=True):
    """What was found, the best to compare with first: checked ones before unchecked ones, the same person's before others',
    the nearest before the farther.

    query:   the TraceQL that was asked; "" where the entry has nothing to ask by.
    matched: traces that fitted in the last step, of which `judged` have a verdict.
    more:    Tempo may have more than were asked for.
    """

    query: str
    reach_ns: int
    found: tuple[Sibling, ...] = ()
    matched: int = 0
    judged: int = 0
    more: bool = False


def entry_of(trace: Trace, verdict: Verdict) -> Node | None:
    return trace.by_id.get(verdict.entry.span_id) if verdict.entry is not None else None


def question(entry: Span) -> nodes.Query:
    """Spans that are the same operation of the same service and answered neither with a refusal nor with a failure."""
    asked: list[Expression] = [nodes.eq(nodes.resource("service.name"), entry.resource.service)]
    if entry.kind is not SpanKind.UNSPECIFIED:
        asked.append(nodes.eq(Intrinsic.KIND, entry.kind))
    method = semconv.method(entry)
    if method:
        asked.append(nodes.or_(*(nodes.eq(nodes.span(key), method) for key in ("http.request.method", "http.method"))))
    asked.append(_operation(entry))
    if semconv.http_status(entry) is not None:
        # A span without a status, or with one written as text, does not compare; verdicts tell those apart afterwards.
        asked.append(nodes.or_(*(nodes.compare(nodes.span(key), "<", 400) for key in semconv.HTTP_STATUS)))
    return nodes.search(nodes.span_filter(*asked), most_recent=True)


def _operation(entry: Span) -> Expression:
    """By template, by path with its ids open, or by name. A request refused before routing has no template."""
    ways: list[Expression] = []
    route, path = semconv.route(entry), semconv.path(entry)
    if route:
        ways.append(nodes.eq(nodes.span("http.route"), route))
    if path:
        pattern = "".join(
            f"/{conditions.literal(part) if part is not None else '[^/?]+'}" for part in operations.open_path(path)
        )
        ways.append(nodes.matches(nodes.span("url.path"), conditions.whole(f"{pattern or '/'}/?")))
        ways.append(nodes.matches(nodes.span("http.target"), conditions.whole(f"{pattern or '/'}/?([?].*)?")))
    return nodes.or_(*ways) if ways else nodes.eq(Intrinsic.NAME, entry.name)


async def near(tempo: TempoClient, judgements: Judgements, trace: Trace, verdict: Verdict) -> Siblings:
    """Requests to compare with, from as near as there are any.

    Errors: SourceError.
    """
    entry = entry_of(trace, verdict)
    if entry is None or not (entry.span.name or semconv.path(entry.span)):
        return Siblings("", 0)
    query = write.write(question(entry.span))
    start = trace.start_ns
    siblings = Siblings(query, 0)
    for reach in REACHES:
        answer = await tempo.search(query, max(0, start - reach), start + reach, limit=_FOUND, spans_per_set=1)
        others = [one for one in answer.traces if one.trace_id.zfill(32) != trace.trace_id]
        others.sort(key=lambda one: abs(one.start_ns - start))
        verdicts = await judgements.of([one.trace_id for one in others[:_JUDGED]], deadline_s=_JUDGE_S)
        judged = {key: one for key, one in verdicts.items() if isinstance(one, Judged)}
        siblings = Siblings(query, reach, _best(others, judged, trace, verdict), len(others), len(judged), answer.limited)
        if siblings.found:
            break
    return siblings


def _best(others: list[FoundTrace], judged: dict[str, Judged], trace: Trace, verdict: Verdict) -> tuple[Sibling, ...]:
    found = [
        Sibling(one.trace_id, one.root_name, one.start_ns, one.start_ns - trace.start_ns, said)
        for one in others
        if (said := judged.get(one.trace_id)) is not None and said.outcome in _COMPARED
    ]
    who = verdict.principal or ""

    def rank(one: Sibling) -> tuple[bool, bool, int, str]:
        unchecked = one.verdict.outcome is not Outcome.ALLOWED
        return unchecked, not who or one.verdict.principal != who, abs(one.apart_ns), one.trace_id

    return tuple(sorted(found, key=rank))
