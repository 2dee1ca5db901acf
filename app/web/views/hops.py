"""The hops of a request as a tree, and the one line through them that the page draws.

A hop is one service's part of the request. The main line runs from the entry to the span the verdict rests on; where it
rests on none (an allowed request), through the hop that took longest at each step. All other hops are side calls.
"""

from __future__ import annotations

from app.analysis.verdict import Decision, LayerDecision
from app.traces import semconv
from app.traces.model import Node, SpanKind
from app.web import words
from app.web.views.reading import Reading

_SILENT = (Decision.NO_EVIDENCE, Decision.NOT_REACHED)


class Hops:
    """all:  every hop, in causal order
    line: hops of the main line, the entry first
    near: by span index, the hop that a span belongs to: the nearest hop above it or itself
    """

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        trace = reading.trace
        wanted = set(reading.hops)
        entry = reading.entry
        if entry is not None:
            wanted.add(entry.span.span_id)
        hops = {node.index for span_id in wanted if (node := trace.by_id.get(span_id)) is not None}
        self.near: list[Node | None] = [None] * len(trace)
        for node in trace.nodes:  # parents stand before their children
            if node.index in hops:
                self.near[node.index] = node
            elif node.parent is not None:
                self.near[node.index] = self.near[node.parent.index]
        self.all: list[Node] = [trace.nodes[index] for index in sorted(hops)]
        self.below: dict[int, list[Node]] = {}
        for index in sorted(hops):
            above = trace.nodes[index].parent
            caller = self.near[above.index] if above is not None else None
            if caller is not None:
                self.below.setdefault(caller.index, []).append(trace.nodes[index])
        self.line: tuple[Node, ...] = tuple(self._line(hops))
        self._decisions: dict[int, list[LayerDecision]] = {}
        for layer in reading.verdict.layers:
            hop = self.asked(layer) or self.of(layer.span_id)
            if hop is not None:
                self._decisions.setdefault(hop.index, []).append(layer)

    def of(self, span_id: str) -> Node | None:
        """The hop a span belongs to."""
        node = self.reading.trace.by_id.get(span_id)
        return self.near[node.index] if node is not None else None

    def asked(self, layer: LayerDecision) -> Node | None:
        """The hop that was asked, where its decision stands on its caller's span."""
        node = self.reading.trace.by_id.get(layer.span_id)
        if node is None or node.span.kind is not SpanKind.CLIENT or layer.target or self.reading.is_deciding(node):
            return None
        return next((child for child in self.below_call(node) if child.service != node.service), None)

    def below_call(self, node: Node) -> list[Node]:
        """Hops that hang directly from a call."""
        return [child for child in node.children if self.near[child.index] is child]

    def decider(self, layer: LayerDecision) -> str:
        """Who decided, by name: itself where it sends spans, else as its caller calls it."""
        if layer.target:
            return layer.target
        hop = self.asked(layer)
        if hop is not None:
            return hop.service
        node = self.reading.trace.by_id.get(layer.span_id)
        if node is not None and layer.decision is Decision.UNKNOWN and node.span.kind is SpanKind.CLIENT:
            return semconv.peer(node.span) or layer.service
        return layer.service

    def decisions(self, hop: Node) -> list[LayerDecision]:
        """What was decided within this hop, the loudest first."""
        found = self._decisions.get(hop.index, [])
        return sorted(found, key=lambda layer: words.DECISION_ORDER.index(layer.decision))

    def own_decision(self, hop: Node) -> LayerDecision | None:
        """The decision that speaks for the hop: the loudest it took itself, none that another decider took for it."""
        own = (layer for layer in self.decisions(hop) if self.decider(layer) == hop.service)
        return next((layer for layer in own if layer.decision not in _SILENT), None)

    def side_calls(self, hop: Node) -> list[Node]:
        """Hops called from this one that are not on the main line."""
        on_line = {node.index for node in self.line}
        return [node for node in self.below.get(hop.index, []) if node.index not in on_line]

    def _line(self, hops: set[int]) -> list[Node]:
        chain = [node for node in self.reading.chain if node.index in hops]
        if self.reading.tone == "open" and self.reading.chain:
            chain += self.below_call(self.reading.chain[-1])[:1]
        if self.reading.verdict.span_id or self.reading.tone == "open":
            return chain or [node for node in (self.reading.entry,) if node is not None]
        entry = self.reading.entry
        line: list[Node] = []
        node: Node | None = entry
        while node is not None:
            line.append(node)
            node = max(self.below.get(node.index, []), key=lambda n: (n.duration_ns, -n.index), default=None)
        return line


def doors_passed(hops: Hops) -> int:
    """How many different layers let the request through before another refused it."""
    reading = hops.reading
    deciding = reading.deciding()
    shut = (deciding.layer, deciding.service) if deciding is not None else None
    by_id = reading.trace.by_id
    passed = {
        (layer.layer, layer.service)
        for layer in reading.verdict.layers
        if layer.decision is Decision.ALLOW
        and (node := by_id.get(layer.span_id)) is not None
        and (reading.refused_ns is None or node.start_ns < reading.refused_ns)
    }
    return len(passed - {shut})
