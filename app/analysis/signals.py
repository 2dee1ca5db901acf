"""Signals: what single spans say of authentication and authorization, each read by a rule.

A signal is one span's statement. Whether it explains what the client saw is not asked here (see accounts.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from app.analysis.reading import Reading
from app.analysis.rulebook import Hit, Rule, RuleBook, evaluated
from app.analysis.verdict import Phase
from app.traces import semconv
from app.traces.model import Node, SpanKind

_BROWSER_SCOPES = ("@opentelemetry/instrumentation-fetch", "@opentelemetry/instrumentation-xml-http-request",
                   "@opentelemetry/instrumentation-document-load",
                   "@opentelemetry/instrumentation-user-interaction")  # fmt: skip
_ATTRIBUTE_RULES = ("generic.hand-written.",)


class Signal:
    """One span's statement.

    decision: allow, deny, error, or unknown (asked, the answer is unrecorded).
    evidence: explicit, code, structure, protocol or words: how good a proof it is.
    says:     decision, guard, gate, store, peer or fetch: what kind of speaker (see docs/rules.md).
    bulk:     a question about many things; its answers refuse nobody.
    against:  an attribute of the same span that says the opposite, or "".
    """

    __slots__ = ("against", "bulk", "decision", "evidence", "hit", "node", "phase", "rule", "says")

    def __init__(self, node: Node, hit: Hit, against: str = "") -> None:
        self.node = node
        self.against = against
        self.hit = hit
        self.rule: Rule = hit.rule
        self.decision = hit.decision
        self.phase: Phase = hit.phase
        self.evidence = hit.evidence
        self.says = hit.rule.says
        self.bulk = hit.rule.bulk

    @property
    def is_store(self) -> bool:
        return self.says == "store"

    @property
    def is_check(self) -> bool:
        """Whether it is a check that guards something, rather than a store or a peer that refused a call."""
        return self.says in ("decision", "guard", "gate")

    def __repr__(self) -> str:
        return f"<Signal {self.decision} {self.rule.id} {self.node.span.name!r}>"


class Said:
    """All that the spans of a trace said, beside the signals that count (those stand in `Reading.signals`)."""

    __slots__ = ("dry_runs", "forged", "marked")

    def __init__(self) -> None:
        self.dry_runs: list[tuple[Node, Hit]] = []
        self.forged: list[Node] = []
        self.marked = False  # some span speaks of authentication at all, if only by its name or a mute answer


def collect(reading: Reading, rules: RuleBook) -> Said:
    """Fill `reading.signals` and return the rest."""
    said = Said()
    reading.paths = rules.paths_of(reading)
    shadowed: set[int] = set()
    for node, worth_trying in rules.candidates(reading, reading.order):
        hits = evaluated(worth_trying, reading, node)
        if not hits:
            continue
        for hit in hits:
            if hit.decision == "shadow":
                said.dry_runs.append((node, hit))
                if hit.rule.says == "context" and hit.rule.id.endswith(".shadow"):
                    shadowed.add(node.index)
        first = _first(hits)
        if first is not None:
            reading.signals[node.index] = Signal(node, first, _against(reading, node, first, hits))
    if reading.signals:
        _drop_shadowed(reading, shadowed)
        _drop_forged(reading, said)
        _drop_bulk(reading)
        _drop_error_dispatch(reading)
    said.marked = bool(reading.signals)
    return said


def _first(hits: list[Hit]) -> Hit | None:
    """The statement that counts: the first in the book; an unrecorded answer gives way to one that the asker wrote down."""
    telling = [hit for hit in hits if hit.decision not in ("shadow", "context")]
    if not telling:
        return next((hit for hit in hits if hit.rule.bulk), None)
    if telling[0].decision == "unknown":
        return next((hit for hit in telling if hit.keys and hit.decision != "unknown"), telling[0])
    return telling[0]


def _against(reading: Reading, node: Node, first: Hit, hits: list[Hit]) -> str:
    """The attribute of the same span that says the opposite, or ""."""
    opposite = {"allow": "deny", "deny": "allow"}.get(first.decision)
    if opposite is None or first.evidence != "explicit":
        return ""
    for hit in hits:
        contrary = [c for name, many in hit.rule.decisions if name == opposite for c in many if c.evidence == "explicit"]
        for key in hit.keys:
            if any(condition.holds(reading, node, (key,)) for condition in contrary):
                return key
    return ""


def _drop_shadowed(reading: Reading, shadowed: set[int]) -> None:
    for node in _all_below(reading, [reading.trace.nodes[index] for index in sorted(shadowed)]):
        reading.signals.pop(node.index, None)


def _all_below(reading: Reading, tops: list[Node]) -> Iterator[Node]:
    """The spans and all below them, each once however they nest."""
    seen: set[int] = set()
    for top in tops:
        stack = [top]
        while stack:
            node = stack.pop()
            if node.index not in seen:
                seen.add(node.index)
                yield node
                stack.extend(reading.kids(node))


def is_browser(node: Node) -> bool:
    """Whether the span was made on the client's own machine, where anything may be claimed."""
    span = node.span
    attributes = span.resource.attributes
    return (
        attributes.get("telemetry.sdk.language") == "webjs"
        or "browser.platform" in attributes
        or "browser.user_agent" in attributes
        or span.scope.name in _BROWSER_SCOPES
    )


def _drop_forged(reading: Reading, said: Said) -> None:
    """Leave out auth.* that a client set: on a browser's span, or carried by baggage onto every span alike."""
    ours = [s for s in reading.signals.values() if s.rule.id.startswith(_ATTRIBUTE_RULES)]
    counted: Counter[tuple[str, str]] = Counter()
    services: dict[tuple[str, str], set[str]] = {}
    on_calls: set[tuple[str, str]] = set()
    on_requests: set[tuple[str, str]] = set()
    for signal in ours:
        for claim in _claims(signal):
            counted[claim] += 1
            services.setdefault(claim, set()).add(signal.node.service)
            if signal.node.span.kind in (SpanKind.CLIENT, SpanKind.PRODUCER):
                on_calls.add(claim)
            elif signal.node.span.kind == SpanKind.SERVER:
                on_requests.add(claim)
    # A decision stands on one span; a claim that the requests and their outgoing calls all carry was handed along.
    copied = {c for c, n in counted.items() if n >= 3 and c in on_calls and (len(services[c]) >= 2 or c in on_requests)}
    copied |= {c for c, n in counted.items() if n >= 3 and n >= 0.8 * len(reading.trace)}
    for signal in ours:
        claims = _claims(signal)
        if is_browser(signal.node) or (claims and all(claim in copied for claim in claims)):
            del reading.signals[signal.node.index]
            said.forged.append(signal.node)


def _claims(signal: Signal) -> list[tuple[str, str]]:
    attributes = signal.node.span.attributes
    keys = signal.hit.keys or (("auth.result",) if "auth.result" in attributes else ())
    return [(key, semconv.text(attributes[key])) for key in keys]


def _drop_bulk(reading: Reading) -> None:
    """Answers below a question about many things refuse nobody."""
    for node in _all_below(reading, [signal.node for signal in reading.signals.values() if signal.bulk]):
        below = reading.signals.get(node.index)
        if below is not None and not below.bulk and below.decision == "deny":
            del reading.signals[node.index]


def _drop_error_dispatch(reading: Reading) -> None:
    """A framework that dispatches again to its error page runs its filters again; that run judges nothing."""
    for index, signal in list(reading.signals.items()):
        if not signal.rule.id.startswith("spring."):
            continue
        spans = [signal.node, *list(reading.ancestors(signal.node))[:8]]
        for node in spans:
            if _is_error_dispatch(node):
                del reading.signals[index]
                break
            if node.span.kind is SpanKind.SERVER:
                break


def _is_error_dispatch(node: Node) -> bool:
    span = node.span
    if span.name.lower().endswith((" /error", "error dispatch")):
        return True
    if (
        semconv.text(span.attributes.get("servlet.dispatcher_type") or span.attributes.get("dispatcher.type")).upper()
        == "ERROR"
    ):
        return True
    return semconv.path(span) == "/error" or semconv.text(span.attributes.get("uri")) == "/error"
