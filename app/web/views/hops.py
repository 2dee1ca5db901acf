"""Hops on the way: each service's part of the request.

The main line runs from the entry to the span the verdict rests on. Where it rests on none (an allowed request) it follows
the request itself: from hop to hop the call that handed it on, not the questions asked beside it.

    edge-gateway  POST /orders                 the line: edge-gateway, orders
      auth.token_validate
        identity    POST /introspect           a question beside it: asked within a check
      orders        POST /orders               the request, handed on
        policy      POST /v1/decide            a question beside it: its answer is a decision
All other hops are side calls.
"""

from __future__ import annotations

from app.analysis.verdict import Decision, Layer, LayerDecision
from app.traces import semconv
from app.traces.model import Node, SpanKind, Status
from app.web import words
from app.web.views import naming
from app.web.views.reading import Reading

_SILENT = (Decision.NO_EVIDENCE, Decision.NOT_REACHED)
_STORES = (Layer.DATABASE, Layer.MESSAGE_BROKER)
_LOOKED_AT = 2_000  # spans of a hop among which its call to a store is looked for


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
        apart = self.apart(layer)
        if apart:
            return apart
        hop = self.asked(layer)
        if hop is not None:
            return hop.service
        node = self.reading.trace.by_id.get(layer.span_id)
        if node is not None and layer.decision is Decision.UNKNOWN and node.span.kind is SpanKind.CLIENT:
            return naming.called(node.span) or layer.service
        return layer.service

    def apart(self, layer: LayerDecision) -> str:
        """The name of a decider that sends no spans of its own; "" where the decision is the service's own.

        A store that refused may be known by the failure of its caller's request alone: then the call that failed names it.
        """
        node = self.reading.trace.by_id.get(layer.span_id)
        if layer.target:
            return layer.target
        if layer.layer not in _STORES or node is None or semconv.db_system(node.span) or semconv.messaging_system(node.span):
            return ""
        call = self.call(layer)
        if call is not None and (name := naming.called(call.span)):
            return name
        return f"{layer.service}’s {words.layer(layer.layer).lower()}" if semconv.method(node.span) else ""

    def call(self, layer: LayerDecision) -> Node | None:
        """The call to a decider without spans: the span itself, else the last failed call to a store below it."""
        node = self.reading.trace.by_id.get(layer.span_id)
        if node is None or node.span.kind in (SpanKind.CLIENT, SpanKind.PRODUCER):
            return node
        if layer.layer not in _STORES:
            return None
        calls = [
            below
            for below in self.reading.trace.nodes[node.index : node.index + _LOOKED_AT]
            if below.span.kind is SpanKind.CLIENT
            and semconv.db_system(below.span)
            and self.near[below.index] is self.near[node.index]
        ]
        failed = [call for call in calls if call.span.status is Status.ERROR]
        return max(failed or calls, key=lambda call: call.end_ns, default=None)

    def decisions(self, hop: Node) -> list[LayerDecision]:
        """What was decided within this hop, the loudest first."""
        found = self._decisions.get(hop.index, [])
        return sorted(found, key=lambda layer: words.DECISION_ORDER.index(layer.decision))

    def own_decision(self, hop: Node) -> LayerDecision | None:
        """The decision that speaks for the hop: the loudest it took itself, none that another decider took for it.

        A check that only repeats what somebody else was asked does not speak for it: the door that was shut is the other's.
        """
        own = (layer for layer in self.decisions(hop) if self.decider(layer) == hop.service)
        loud = (layer for layer in own if layer.decision not in _SILENT)
        return next((layer for layer in loud if layer.span_id not in self.reading.echoes), None)

    def checks(self, hop: Node, decision: Decision) -> list[str]:
        """The names of the hop's own checks that decided so, in causal order."""
        reading = self.reading
        found = [
            naming.name(node.span)
            for node in reading.trace.nodes[hop.index + 1 : hop.index + _LOOKED_AT]
            if node.span.kind is SpanKind.INTERNAL and self.near[node.index] is hop and reading.decision_of(node) is decision
        ]
        return list(dict.fromkeys(found))

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
        line: list[Node] = []
        node = self.reading.entry
        while node is not None:
            line.append(node)
            node = self._handed_on(node)
        return line

    def _handed_on(self, hop: Node) -> Node | None:
        """The hop that this one handed the request on to; None where it answered itself.

        Of several the one that was asked for the same thing, else the one that took longest: the others were waited for.
        """
        below = [node for node in self.below.get(hop.index, []) if node.span.kind is not SpanKind.CONSUMER]
        if hop.span.kind is SpanKind.CONSUMER:
            below = self.below.get(hop.index, [])
        onward = [node for node in below if not self._is_question(node, hop)]
        return max(onward, key=lambda n: (_same_purpose(n, hop), n.duration_ns, -n.index), default=None)

    def _is_question(self, node: Node, caller: Node) -> bool:
        """Whether this hop was asked whether the request may pass, rather than to serve it."""
        above = node.parent
        while above is not None and above is not caller:
            if above.span.kind is SpanKind.INTERNAL and self.reading.decision_of(above) is not None:
                return True
            above = above.parent
        if _same_purpose(node, caller):
            return False
        asked = {span_id for span_id in (node.span.span_id, node.parent.span.span_id if node.parent else "") if span_id}
        inside = (layer for layer in self.reading.verdict.layers if self.of(layer.span_id) is node or layer.span_id in asked)
        return any(layer.layer in _ASKED for layer in inside)


# Whose answer is a decision, and not the thing that was asked for. A log-in is forwarded to an identity provider as it came.
_ASKED = (Layer.IDENTITY_PROVIDER, Layer.POLICY_ENGINE, Layer.RATE_LIMITER)


def _same_purpose(node: Node, caller: Node) -> bool:
    """Whether a hop was asked for the same as its caller: the same place, perhaps below another prefix."""
    here, there = (semconv.route(one.span) or semconv.path(one.span) for one in (node, caller))
    if not here or not there or semconv.method(node.span) != semconv.method(caller.span):
        return False
    return here == there or (here.strip("/") != "" and (here.endswith(there) or there.endswith(here)))


def doors_passed(hops: Hops) -> int:
    """How many deciders let the request through before another refused it: those that the path shows with an Allow."""
    reading = hops.reading
    deciding = reading.deciding()
    by_id = reading.trace.by_id
    passed = {
        hops.decider(layer)
        for layer in reading.verdict.layers
        if layer.decision is Decision.ALLOW
        and (node := by_id.get(layer.span_id)) is not None
        and (reading.refused_ns is None or node.start_ns < reading.refused_ns)
    }
    return len(passed - {hops.decider(deciding)} if deciding is not None else passed)
