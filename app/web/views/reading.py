"""What a verdict says of each span of its trace: looked up once, shown by path, lanes, waterfall and span panel alike."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from app.analysis.verdict import (
    Decision,
    EffectKind,
    EffectTime,
    FindingKind,
    Ground,
    Hop,
    LayerDecision,
    Outcome,
    SideEffect,
    Verdict,
)
from app.times import format_duration
from app.traces.model import Node, Trace
from app.web import words
from app.web.views import naming

# The colour of a verdict, by the names of the style sheet: refused, broke, not known, allowed, or none.
TONES: dict[Outcome, str] = {
    Outcome.DENIED: "deny",
    Outcome.PARTIALLY_DENIED: "deny",
    Outcome.BYPASSED: "deny",
    Outcome.ERROR: "error",
    Outcome.INCONCLUSIVE: "open",
    Outcome.ALLOWED: "allow",
    Outcome.NO_AUTH_EVIDENCE: "",
}
_MOST_KEPT = 500
T = TypeVar("T")
_GAPS: dict[FindingKind, str] = {
    FindingKind.MISSING_HOP: "Server span missing. Its answer is not in the trace",
    FindingKind.UNINSTRUMENTED_PEER: "This hop sends no spans",
}


@dataclass(frozen=True)
class Gap:
    """A hop that should be in the trace and is not, below the CLIENT span that called it."""

    peer: str
    sentence: str
    on_path: bool  # the verdict hangs on it
    missing: bool = True  # it sends spans elsewhere; otherwise it never does


class Reading:
    """A trace and its verdict, by span id.

    start_ns:   when the trace began
    focus:      the span a reader wants first: the deciding one, the call whose answer is missing, the check that broke and
                was not heeded, else the entry
    refused_ns: when the refusal was decided (the end of the deciding span), None where nobody refused
    tone:       `deny`, `error`, `open`, `allow`, or "" for a trace without evidence
    stated:     what single spans decided, by span id: the verdict names one span of each layer, a page shows all
    """

    def __init__(self, trace: Trace, verdict: Verdict, stated: Mapping[str, Decision] | None = None) -> None:
        self.trace = trace
        self.verdict = verdict
        self.stated: Mapping[str, Decision] = stated or {}
        self.tone = TONES[verdict.outcome]
        self.start_ns = trace.start_ns
        self._once: dict[Hashable, Any] = {}
        self.decisions: dict[str, LayerDecision] = {}
        for layer in verdict.layers:
            known = self.decisions.get(layer.span_id)
            if layer.span_id and (known is None or _louder(layer, known)):
                self.decisions[layer.span_id] = layer
        self.hops: dict[str, Hop] = {hop.span_id: hop for hop in verdict.path}
        self.effects: dict[str, SideEffect] = {effect.span_id: effect for effect in verdict.side_effects}
        self.gaps: dict[str, Gap] = dict(self._gaps())
        self.focus = self._focus()
        self.refused_ns = self._refused_ns()
        self.chain: tuple[Node, ...] = self._chain()
        self._on_chain = {node.index for node in self.chain}
        self.echoes = frozenset(self._echoes())
        self._failed_hop, self._failed = self._failing()

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What takes long and depends on the trace alone: worked out once, for all parts and pages that follow."""
        if key not in self._once:
            if len(self._once) >= _MOST_KEPT:
                self._once.clear()
            self._once[key] = make()
        found: T = self._once[key]
        return found

    # ---------------------------------------------------------------------------------------------- about the whole

    @property
    def entry(self) -> Node | None:
        """The span that answered the client."""
        place = self.verdict.entry
        found = self.trace.by_id.get(place.span_id) if place else None
        return found or (self.trace.roots[0] if self.trace.roots else None)

    @property
    def refuses(self) -> bool:
        return self.tone == "deny"

    @property
    def failed_open(self) -> bool:
        """A check denied or broke, and what it guarded went on: calm green would lie."""
        return self.verdict.outcome is Outcome.ALLOWED and any(
            finding.kind is FindingKind.FAIL_OPEN for finding in self.verdict.findings
        )

    @property
    def decided(self) -> str:
        """What happened at the deciding span: `refused`, `broke` or ""."""
        return {"deny": "refused", "error": "broke"}.get(self.tone, "") if self.verdict.span_id else ""

    def deciding(self) -> LayerDecision | None:
        """The layer's entry in the verdict for the deciding span."""
        if self.verdict.span_id is None:
            return None
        same = [d for d in self.verdict.layers if d.span_id == self.verdict.span_id]
        return next((d for d in same if d.layer is self.verdict.layer), same[0] if same else None)

    def distance_ns(self, effect: SideEffect, node: Node) -> int:
        """From the refusal to the effect: to its start where it came later, back to its end where it was done before."""
        at = self.refused_ns if self.refused_ns is not None else self.start_ns
        return node.end_ns - at if node.end_ns < at else node.start_ns - at

    # --------------------------------------------------------------------------------------------- about one span

    def is_deciding(self, node: Node) -> bool:
        return bool(self.verdict.span_id) and node is self.trace.by_id.get(self.verdict.span_id or "")

    def decision(self, node: Node) -> LayerDecision | None:
        """The decision this span states. Where two spans share one id, it belongs to the one the id is looked up by."""
        found = self.decisions.get(node.span.span_id)
        return found if found is not None and self.trace.by_id.get(node.span.span_id) is node else None

    def decision_of(self, node: Node) -> Decision | None:
        """What this span decided: in the verdict's words, else as it says itself."""
        found = self.decision(node)
        if found is not None:
            return found.decision
        return self.stated.get(node.span.span_id) if self.trace.by_id.get(node.span.span_id) is node else None

    def effect(self, node: Node) -> SideEffect | None:
        return self.effects.get(node.span.span_id)

    def gap(self, node: Node) -> Gap | None:
        """The missing hop below this call."""
        found = self.gaps.get(node.span.span_id)
        return found if found is not None and self.trace.by_id.get(node.span.span_id) is node else None

    def on_chain(self, node: Node) -> bool:
        """Whether the refusal travelled through this span."""
        return node.index in self._on_chain

    def answer(self, node: Node) -> str:
        """`Passed on 403`, `Enforced as 403`, `Failed closed`: what a hop did with the refusal; "" where nothing."""
        hop, verdict = self.hops.get(node.span.span_id), self.verdict
        if node is self._failed_hop:
            return self._failed
        if not (self.tone in ("deny", "open", "error") and (hop is not None or self._enforces(node))):
            return ""
        status = hop.status if hop is not None else None
        shown = f" {status}" if status is not None else ""
        if self._enforces(node) and not self.is_deciding(node):
            enforced = verdict.enforced_by.status if verdict.enforced_by else None
            code = status if status is not None else enforced
            if code is not None and code < 400:
                return f"Answered {code}" if verdict.outcome is Outcome.DENIED else ""  # masked, or not heeded
            if code is None and node.service == verdict.service:
                return ""  # it refused itself, and there is no answer to tell of
            return f"Enforced as {code}" if code is not None else "Enforced it"
        if hop is not None and hop.relay:
            return f"Passed on{shown}" if shown else "Passed it on"
        if self.tone == "open" and status is not None and status >= 400:
            return f"Answered{shown}"
        return ""

    def effect_words(self, effect: SideEffect, node: Node) -> str:
        """`Wrote, 48.6 ms before`; an audit record of the refusal is none of the request's own doing."""
        did = words.EFFECT[effect.kind]
        if effect.kind is EffectKind.AUDIT or self.refused_ns is None or effect.when is EffectTime.NO_DENIAL:
            return did
        distance = format_duration(abs(self.distance_ns(effect, node)))
        return f"{did}, {distance} {'after' if effect.when is EffectTime.AFTER_DENIAL else 'before'}"

    def proof(self, span_id: str) -> dict[str, str]:
        """Attributes of this span that the verdict rests on, with the rule that read each."""
        return {g.attribute: g.rule for g in self.verdict.grounds if g.span_id == span_id and g.attribute and _weighs(g)}

    # ------------------------------------------------------------------------------------------------------ making

    def _gaps(self) -> Iterator[tuple[str, Gap]]:
        weighed = {ground.span_id for ground in self.verdict.grounds if ground.role == "gap"}
        for finding in self.verdict.findings:
            sentence = _GAPS.get(finding.kind)
            if sentence and finding.span_id in self.trace.by_id:
                open_one = self.tone == "open" and (finding.span_id in weighed or not weighed)
                peer = naming.called(self.trace.by_id[finding.span_id].span) or finding.service
                yield finding.span_id, Gap(peer, sentence, open_one, finding.kind is FindingKind.MISSING_HOP)

    def _focus(self) -> str:
        verdict, known = self.verdict, self.trace.by_id
        if verdict.span_id in known:
            return verdict.span_id or ""
        if self.tone == "open":
            gaps = [g.span_id for g in verdict.grounds if g.role == "gap" and g.span_id in known]
            if gaps:
                return gaps[0]
            if self.gaps:
                return next((span_id for span_id, gap in self.gaps.items() if gap.on_path), next(iter(self.gaps)))
            refusing = [hop.span_id for hop in verdict.path if hop.span_id in known and (hop.status or 0) >= 400]
            if refusing:
                return max(refusing, key=lambda span_id: known[span_id].depth)
        broke = (finding.span_id for finding in verdict.findings if finding.kind is FindingKind.FAIL_OPEN)
        if self.failed_open and (span_id := next((span_id for span_id in broke if span_id in known), "")):
            return span_id
        entry = self.entry
        return entry.span.span_id if entry else ""

    def _refused_ns(self) -> int | None:
        node = self.trace.by_id.get(self.verdict.span_id or "")
        return node.end_ns if node is not None and self.tone in ("deny", "error") else None

    def _chain(self) -> tuple[Node, ...]:
        """From the root down to the focus, both included."""
        node = self.trace.by_id.get(self.focus)
        if node is None:
            return ()
        return (*reversed(list(node.ancestors())), node)

    def _echoes(self) -> Iterator[str]:
        """Spans that only repeat what was decided below them: a check of the service that asked, a status of the entry."""
        if self.tone in ("deny", "error") and self.verdict.span_id:
            for node in self.chain[:-1]:
                found = self.decision(node)
                if found is not None and found.decision in (Decision.DENY, Decision.ERROR):
                    yield node.span.span_id

    def _failing(self) -> tuple[Node | None, str]:
        """The hop whose call broke, and what it made of that."""
        kinds = {finding.kind for finding in self.verdict.findings}
        said = "Failed closed" if FindingKind.FAIL_CLOSED in kinds else "Failed open" if FindingKind.FAIL_OPEN in kinds else ""
        if self.tone != "error" or not said:
            return None, ""
        asking = [node for node in self.chain[:-1] if node.span.span_id in self.hops]
        return (asking[-1], said) if asking else (None, "")

    def _enforces(self, node: Node) -> bool:
        place = self.verdict.enforced_by
        return place is not None and place.span_id == node.span.span_id


def _louder(one: LayerDecision, other: LayerDecision) -> bool:
    order = words.DECISION_ORDER
    return order.index(one.decision) < order.index(other.decision)


def _weighs(ground: Ground) -> bool:
    return ground.role in ("origin", "enforcement", "conflict", "relay")


def where(effect: SideEffect, node: Node) -> str:
    """The store, topic or service that was changed, rather than the table in it."""
    peer = "" if effect.kind is EffectKind.MESSAGE else naming.called(node.span)
    return peer or effect.target or effect.service
