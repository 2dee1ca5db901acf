"""`contrast(denied, allowed)`: at which check a refused request parts from one that was let through, and what differs there.

The two are laid side by side (alignment.py), from the entry to the span that decided. A difference is a difference and no
cause: it says where to look. Secrets and long values are never shown; what the client wrote is marked as such.
Source: docs/method.md, "Contrast".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from app.analysis import alignment, answers, differences, operations, secrets, stated, statements
from app.analysis.alignment import Alignment, Side
from app.analysis.differences import Difference
from app.analysis.examine import examine
from app.analysis.reading import Context, Reading
from app.analysis.rulebook import RuleBook, shipped
from app.analysis.secrets import Redactor
from app.analysis.verdict import Confidence, Decision, Outcome, Verdict
from app.traces.model import Node, SpanKind, Trace

__all__ = ["Contrast", "Difference", "Parting", "Request", "Said", "Shared", "Step", "contrast"]

_STOPPED = (Outcome.DENIED, Outcome.PARTIALLY_DENIED, Outcome.BYPASSED, Outcome.ERROR, Outcome.INCONCLUSIVE)
_LET_THROUGH = (Outcome.ALLOWED, Outcome.NO_AUTH_EVIDENCE)
_MOST_SHARED = 60
_MOST_STEPS = 30
_CALLS = ("CLIENT", "PRODUCER")
_CHECKING = ("validate", "validation", "verify", "verification")
_DECISIONS = {"allow": Decision.ALLOW, "deny": Decision.DENY, "error": Decision.ERROR, "unknown": Decision.UNKNOWN}


class Request(msgspec.Struct, frozen=True):
    """One of the two: what it asked for and what became of it. `start_ns` in Unix nanoseconds."""

    trace_id: str
    outcome: Outcome
    sentence: str
    confidence: Confidence
    service: str
    operation: str
    status: int | None
    principal: str | None
    start_ns: int


class Said(msgspec.Struct, frozen=True):
    """What one span of one request said: its decision, the attribute it stands on, its own words for why."""

    span_id: str
    decision: Decision
    attribute: str = ""
    value: str = ""
    reason: str = ""
    rule: str = ""
    status: int | None = None


class Shared(msgspec.Struct, frozen=True):
    """A check that both requests met and that let both pass."""

    service: str
    name: str
    denied: Said
    allowed: Said


class Parting(msgspec.Struct, frozen=True):
    """Where the two part.

    name:    the check as its span is called; the operation where a hop answered by itself.
    is_check: False where no check is recorded and the answer of the hop is all there is.
    allowed: None where the allowed request shows no such check; `met_in` then is the closest span that both have.
    kind:    the kind of the span that decided, such as SERVER.
    """

    service: str
    name: str
    is_check: bool
    denied: Said
    allowed: Said | None
    met_in: str = ""
    kind: str = ""


class Step(msgspec.Struct, frozen=True):
    """A step that only one of the two has, with the number of steps below it."""

    service: str
    name: str
    span_id: str
    kind: str
    is_check: bool = False


class Contrast(msgspec.Struct, frozen=True):
    """A refused request beside an allowed one. Where they cannot be compared, `why_not` says so and the rest is empty."""

    denied: Request
    allowed: Request
    sentence: str
    why_not: str = ""
    parting: Parting | None = None
    passed: tuple[Shared, ...] = ()
    differences: tuple[Difference, ...] = ()
    only_denied: tuple[Step, ...] = ()
    only_allowed: tuple[Step, ...] = ()
    caveats: tuple[str, ...] = ()

    @property
    def comparable(self) -> bool:
        return not self.why_not


class _Request:
    """One of the two as it is laid beside the other."""

    def __init__(self, trace: Trace, rules: RuleBook, context: Context) -> None:
        self.trace = trace
        self.verdict = examine(trace, rules=rules, context=context)
        self.reading, _ = stated.read(trace, rules, context)
        place = self.verdict.entry
        self.entry = trace.by_id[place.span_id] if place is not None else trace.nodes[0]
        self.deciding = self._deciding()

    def _deciding(self) -> Node | None:
        """The span that the verdict names, or for an open one the span at which nobody is seen to refuse."""
        if self.verdict.outcome not in _STOPPED:
            return None
        named = self.verdict.span_id or next((g.span_id for g in self.verdict.grounds if g.role == "origin"), "")
        return self.trace.by_id.get(named)

    def side(self) -> Side:
        return Side(self.reading, self.entry, self.deciding)

    def shown(self, clean: Redactor) -> Request:
        verdict, place = self.verdict, self.verdict.entry
        return Request(
            trace_id=self.trace.trace_id,
            outcome=verdict.outcome,
            sentence=verdict.sentence,
            confidence=verdict.confidence,
            service=self.entry.service,
            operation=clean(operations.shown(self.entry.span)),
            status=place.status if place is not None else None,
            principal=verdict.principal,
            start_ns=self.entry.start_ns,
        )

    def said(self, node: Node, clean: Redactor) -> Said:
        """What the span said; the deciding span what the verdict makes of it."""
        signal = self.reading.signals.get(node.index)
        attribute, value = statements.ground(self.reading, node, signal)
        decision = Decision.NO_EVIDENCE
        if signal is not None:
            decision = _DECISIONS[signal.decision]
        elif answers.answer(node.span) in answers.GOOD:
            decision = Decision.ALLOW
        reason = ""
        if node is self.deciding:
            decision = _outcome_of(self.verdict)
            reason = self.verdict.reason or ""
        elif decision is not Decision.ALLOW:
            reason = statements.reason_text(self.reading, node, signal)
        return Said(
            node.span.span_id,
            decision,
            attribute,
            differences.shown(attribute, value, clean),
            clean(reason)[:300],
            signal.rule.id if signal is not None else "",
            answers.shown_status(node.span),
        )

    def is_check(self, node: Node) -> bool:
        signal = self.reading.signals.get(node.index)
        return signal is not None and (signal.is_check or signal.says in ("store", "peer"))


def _outcome_of(verdict: Verdict) -> Decision:
    if verdict.outcome is Outcome.ERROR:
        return Decision.ERROR
    return Decision.UNKNOWN if verdict.outcome is Outcome.INCONCLUSIVE else Decision.DENY


def contrast(denied: Trace, allowed: Trace, *, rules: RuleBook | None = None, context: Context | None = None) -> Contrast:
    """Compare a refused request with one of the same route that was let through.

    Errors: none; what cannot be compared says why.
    """
    rules = rules if rules is not None else shipped()
    context = context if context is not None else Context()
    ours, theirs = _Request(denied, rules, context), _Request(allowed, rules, context)
    clean = Redactor(secrets.scan(ours.reading).texts | secrets.scan(theirs.reading).texts)
    requests = ours.shown(clean), theirs.shown(clean)
    why_not = _why_not(ours, theirs)
    if why_not:
        return Contrast(*requests, sentence=why_not, why_not=why_not)
    found = alignment.align(ours.side(), theirs.side())
    passed = _passed(ours, theirs, found, clean)
    parting, pair = _parting(ours, theirs, found, clean)
    if parting is None:
        why_not = "No check is common to both requests, and no service that refused: where they part cannot be said."
        return Contrast(*requests, sentence=why_not, why_not=why_not)
    at = pair if pair is not None else (ours.entry, theirs.entry)
    differ = tuple(differences.between(_pairs(ours.reading, theirs.reading, at, found), parting.denied.reason, clean))
    return Contrast(
        *requests,
        sentence=_sentence(passed, parting, differ),
        parting=parting,
        passed=passed[:_MOST_SHARED],
        differences=differ,
        only_denied=tuple(_steps(ours, found.only_denied, clean)),
        only_allowed=tuple(_steps(theirs, found.only_allowed, clean)),
        caveats=tuple(_caveats(ours, theirs, parting, found)),
    )


# ---------------------------------------------------------------------------------------------------- comparable or not


def _why_not(ours: _Request, theirs: _Request) -> str:
    one, other = ours.verdict.outcome, theirs.verdict.outcome
    if ours.trace.trace_id == theirs.trace.trace_id:
        return "These are one and the same trace."
    if one in _LET_THROUGH and other in _LET_THROUGH:
        return "Both requests were let through: there is nothing at which they part."
    if one in _LET_THROUGH:
        return f"The first request was let through and the second was not ({_words(other)}): they stand the other way round."
    if other in _STOPPED:
        return f"Neither request was simply let through: the first is {_words(one)}, the second {_words(other)}."
    a, b = ours.entry.span, theirs.entry.span
    if not operations.same(a, b):
        first, second = (f"{operations.shown(span)} of {span.resource.service}" for span in (a, b))
        return f"The two ask for different things: {first} and {second}."
    return ""


def _words(outcome: Outcome) -> str:
    return outcome.value.replace("_", " ")


def _caveats(ours: _Request, theirs: _Request, parting: Parting, found: Alignment) -> Iterator[str]:
    if theirs.verdict.outcome is Outcome.NO_AUTH_EVIDENCE:
        yield "The allowed request shows no check at all: it may have been let through without one."
    for name, request in (("refused", ours), ("allowed", theirs)):
        if request.verdict.confidence is Confidence.LOW:
            yield f"The verdict on the {name} request is of low confidence."
    if found.is_cut:
        yield "The requests have more steps than are compared with each other."
    elif parting.allowed is None:
        yield "A check that shows itself only when it refuses leaves nothing in the allowed request to compare with."
    if ours.trace.partial or theirs.trace.partial:
        yield "The backend gave only a part of one of the traces."


# ------------------------------------------------------------------------------------------------------ where they part


def _passed(ours: _Request, theirs: _Request, found: Alignment, clean: Redactor) -> tuple[Shared, ...]:
    """The checks that let both pass, in the order of the refused request, up to where it was decided."""
    until = ours.deciding
    out = []
    for one, other in found.pairs:
        if one is until or not (ours.is_check(one) and theirs.is_check(other)):
            continue
        if until is not None and one.start_ns > until.end_ns:
            continue
        a, b = ours.said(one, clean), theirs.said(other, clean)
        if a.decision is Decision.ALLOW and b.decision is Decision.ALLOW:
            out.append(Shared(one.service, one.span.name[:160], a, b))
    return tuple(out)


def _parting(
    ours: _Request, theirs: _Request, found: Alignment, clean: Redactor
) -> tuple[Parting | None, tuple[Node, Node] | None]:
    """The deciding span and its twin; without a twin the closest span above it that both have."""
    node = ours.deciding
    if node is None:
        return None, None
    is_check = ours.is_check(node) or node.span.kind is SpanKind.INTERNAL
    name = node.span.name[:160] if is_check else operations.shown(node.span)
    said, kind = ours.said(node, clean), node.span.kind.name
    twin = found.allowed_of(node)
    if twin is not None:
        there = theirs.said(twin, clean)
        return Parting(node.service, clean(name), is_check, said, there, kind=kind), (node, twin)
    for above in ours.reading.ancestors(node):
        twin = found.allowed_of(above)
        if twin is not None:
            met = f"{operations.shown(above.span)} of {above.service}"
            return Parting(node.service, clean(name), is_check, said, None, clean(met), kind), (above, twin)
    return None, None


def _pairs(ours: Reading, theirs: Reading, at: tuple[Node, Node], found: Alignment) -> Iterator[tuple[str, Node, Node]]:
    """The spans whose attributes are compared, nearest first: the check, its hop, the checks before it, the entry."""
    yield "check", *at
    servers = ours.server_of(at[0]), theirs.server_of(at[1])
    if servers[0] is not None and servers[1] is not None and servers != at:
        yield "hop", servers[0], servers[1]
    for one, other in reversed(found.pairs):
        if one.index in ours.signals and other.index in theirs.signals and one is not at[0] and one.start_ns <= at[0].end_ns:
            yield "before", one, other
    entry = found.pairs[0] if found.pairs else at
    if entry[0] is not at[0] and entry[0] is not servers[0]:
        yield "entry", *entry


def _steps(request: _Request, nodes: Sequence[Node], clean: Redactor) -> Iterator[Step]:
    for node in nodes[:_MOST_STEPS]:
        name = node.span.name[:160] if request.is_check(node) else operations.shown(node.span)
        yield Step(node.service, clean(name), node.span.span_id, node.span.kind.name, request.is_check(node))


# -------------------------------------------------------------------------------------------------------- one sentence


def _sentence(passed: Sequence[Shared], parting: Parting, differ: Sequence[Difference]) -> str:
    begun = "They part"
    if passed:
        names = list(dict.fromkeys(f"{called(check.name)} of {check.service}" for check in passed))
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        begun = f"Both passed {_listed(names[:3])}{more}; they part"
    said = _said(parting)
    telling = differences.telling(differ)
    if telling:
        # What the reason itself names needs no second telling.
        said = telling if parting.allowed is not None and differ[0].telling == 0 else f"{said}; {telling}"
    elif all(d.is_answer or d.by_client for d in differ):
        said += "; nothing else that is recorded there differs"
    return f"{begun} at {_place(parting)}: {said}."


def called(name: str) -> str:
    """A check for a sentence: auth.permission_check is "the permission check", another name stands in quotes."""
    head, _, rest = name.partition(".")
    words = rest.lower().replace(".", "_").split("_")
    if head in ("auth", "authz", "authn") and all(word.isalpha() and word.isascii() for word in words):
        words[-1] = "check" if words[-1] in _CHECKING else words[-1]
        return f"the {' '.join(words)}"
    return f'"{name}"'


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _place(parting: Parting) -> str:
    if parting.is_check:
        return f"{called(parting.name)} of {parting.service}"
    if parting.kind in _CALLS:
        return f"the call {parting.name} of {parting.service}"
    return f"the answer of {parting.service} to {parting.name}"


def _said(parting: Parting) -> str:
    """What was said there in each."""
    denied, allowed = parting.denied, parting.allowed
    because = f" ({denied.reason})" if denied.reason and "records no reason" not in denied.reason else ""
    if allowed is None:
        what = "check" if parting.is_check else "call" if parting.kind in _CALLS else "hop"
        return f"it {_verb(denied.decision)}{because}, and the allowed request shows no such {what}"
    if not parting.is_check and denied.status is not None and allowed.status is not None:
        return f"{denied.status} against {allowed.status}{because}"
    return f"the one was {_past(denied.decision)}{because}, the other {_past(allowed.decision)}"


def _verb(decision: Decision) -> str:
    return {Decision.DENY: "refused", Decision.ERROR: "broke"}.get(decision, "did not say who refused")


def _past(decision: Decision) -> str:
    return {
        Decision.DENY: "refused",
        Decision.ERROR: "not decided, because something broke",
        Decision.ALLOW: "let through",
    }.get(decision, "answered without a record of what was decided")
