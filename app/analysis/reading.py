"""A trace as the judgement walks it: the repaired tree, guessed joins, answers, and what each span said.

The tree of `app.traces.build` is left as it is; where a lost or broken link was guessed (joins.py), the guess stands here
beside it, and every walk of the judgement goes through `kids` and `parent`.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from app.analysis import answers, keysets
from app.analysis.answers import Answer
from app.analysis.keysets import Keyset
from app.analysis.verdict import Layer
from app.traces import semconv
from app.traces.model import Node, SpanKind, Status, Trace

if TYPE_CHECKING:
    from app.analysis.signals import Signal


# Looked up once: these loops run for every span.
_SERVER, _CLIENT, _PRODUCER, _CONSUMER = SpanKind.SERVER, SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER
_ERROR = Status.ERROR


class Context(msgspec.Struct, frozen=True):
    """What is known beside the trace.

    known_services: services that send spans, so that a hop without one is known to be missing.
    role_overrides: service to role (a value of roles.Role), from configuration.
    route_layers:   (layer, service) that allowed requests of this route usually meet, in order.
    route_auth_ns:  how long authentication usually takes on this route.
    """

    known_services: frozenset[str] = frozenset()
    client_address_is_pii: bool = False
    role_overrides: Mapping[str, str] = {}
    route_layers: Sequence[tuple[Layer, str]] = ()
    route_auth_ns: int | None = None


class Reading:
    """One trace under judgement. Spans are named by `Node.index`, their place in `trace.nodes`.

    order:   the nodes, parents before children, guessed parents included.
    signals: index to what the span itself said of authentication or authorization.
    joined:  index of a node to the parent that was guessed for it.
    servers: index to the closest SERVER or CONSUMER span at or above it.
    hops:    the spans at which a service's part of the request begins, in order.
    paths:   index to the patterns of the rule book that its URL's path has; most have none and are not here.
    outgoing: the spans that may have changed or called something, in order.
    keysets: index to the span's set of attribute keys.
    """

    def __init__(self, trace: Trace, context: Context) -> None:
        self.trace = trace
        self.context = context
        self.order: list[Node] = trace.nodes
        self.memo: dict[tuple[Any, ...], Any] = {}
        self.signals: dict[int, Signal] = {}
        self.joined: dict[int, Node] = {}
        self.servers: list[Node | None] = []
        self.paths: dict[int, frozenset[int]] = {}
        self.hops: list[Node] = []
        self.outgoing: list[Node] = []
        self.keysets: list[Keyset] = [keysets.NONE] * len(trace.nodes)
        for node in trace.as_sent:
            self.keysets[node.index] = keysets.of(node.span.attributes)
        self._adopted: dict[int, list[Node]] = {}
        self._roots: list[Node] | None = None
        self._answers: list[Answer | None] = [None] * len(trace.nodes)

    # ------------------------------------------------------------------------------------------------------ the tree

    def kids(self, node: Node) -> list[Node]:
        """The node's children, adopted ones among them, by start."""
        adopted = self._adopted.get(node.index)
        return node.children if adopted is None else adopted

    def parent(self, node: Node) -> Node | None:
        return node.parent if node.parent is not None else self.joined.get(node.index)

    def root_of(self, node: Node) -> Node:
        """The root of the tree that the span was sent in, guessed links left aside."""
        if self._roots is None:
            self._roots = []
            for each in self.trace.nodes:  # parents before children
                self._roots.append(each if each.parent is None else self._roots[each.parent.index])
        return self._roots[node.index]

    def ancestors(self, node: Node) -> Iterator[Node]:
        """From the parent upwards, over guessed links as well."""
        found = self.parent(node)
        while found is not None:
            yield found
            found = self.parent(found)

    def subtree(self, node: Node) -> Iterator[Node]:
        """The node and all below it, parents first."""
        stack = [node]
        while stack:
            found = stack.pop()
            yield found
            stack.extend(reversed(self.kids(found)))

    def below(self, node: Node, what: str, holds: Callable[[Node], bool]) -> bool:
        """Whether something holds for a span below the node; asked of all spans once, however often it is asked."""
        found = self.memo.get(("below", what))
        if found is None:
            found = self.memo["below", what] = bytearray(len(self.trace.nodes))
            for each in reversed(self.order):  # children before their parents
                parent = self.parent(each)
                if parent is not None and (found[each.index] or holds(each)):
                    found[parent.index] = 1
        return bool(found[node.index])

    def adopt(self, parent: Node, child: Node) -> None:
        """Hang a root below a node for the judgement. The caller sees to it that no circle closes."""
        self.joined[child.index] = parent
        kids = self._adopted.get(parent.index)
        if kids is None:
            kids = self._adopted[parent.index] = list(parent.children)
        bisect.insort(kids, child, key=lambda n: (n.start_ns, n.index))

    def settle(self) -> None:
        """Fix the order and the servers, once all joins are made."""
        nodes = self.trace.nodes
        if self.joined:
            ordered: list[Node] = []
            stack = [root for root in reversed(self.trace.roots) if root.index not in self.joined]
            while stack:
                node = stack.pop()
                ordered.append(node)
                stack.extend(reversed(self.kids(node)))
            self.order = ordered
        servers: list[Node | None] = [None] * len(nodes)
        joined, keysets, hops, outgoing = self.joined, self.keysets, self.hops, self.outgoing
        for node in self.order:
            span = node.span
            kind = span.kind
            index = node.index
            if kind is _SERVER or kind is _CONSUMER:
                servers[index] = node
                hops.append(node)
                continue
            if kind is _CLIENT or kind is _PRODUCER or keysets[index].database or span.name[:2] == "fs":
                outgoing.append(node)
            parent = node.parent
            if parent is None:
                parent = joined.get(index) if joined else None
                if parent is None:
                    hops.append(node)
                    continue
            servers[index] = servers[parent.index]
            resource = span.resource
            above = parent.span.resource
            if above is not resource and above.service != resource.service:
                hops.append(node)
        self.servers = servers

    def server_of(self, node: Node) -> Node | None:
        """The closest SERVER or CONSUMER span, the node itself included."""
        return self.servers[node.index]

    def starts_hop(self, node: Node) -> bool:
        """Whether a service's part of the request begins here."""
        kind = node.span.kind
        if kind is _SERVER or kind is _CONSUMER:
            return True
        parent = self.parent(node)
        return parent is None or parent.span.resource.service != node.span.resource.service

    def hop_of(self, node: Node) -> Node:
        """The entry span of the hop the node belongs to."""
        found = self.memo.get(("hop", node.index))
        if found is None:
            climbed = []
            here = node
            while (found := self.memo.get(("hop", here.index))) is None:
                if self.starts_hop(here):
                    found = here
                    break
                climbed.append(here.index)
                parent = self.parent(here)
                assert parent is not None  # a node without a parent starts a hop
                here = parent
            for index in (*climbed, here.index):
                self.memo["hop", index] = found
        assert isinstance(found, Node)
        return found

    # ------------------------------------------------------------------------------------------------- what they said

    def answer(self, node: Node) -> Answer:
        """What the span answered or was answered."""
        known = self._answers[node.index]
        if known is None:
            keyset, span = self.keysets[node.index], node.span
            if keyset.answer or span.status is _ERROR or span.kind is _CLIENT:
                known = answers.answer(span, rpc=keyset.rpc_status)
            else:
                known = Answer.NONE  # the commonest: work inside a service
            self._answers[node.index] = known
        return known

    def trouble(self, node: Node) -> str:
        """All words of a span that went wrong: its status message, then each exception's class and message."""
        span = node.span
        on_span = semconv.EXCEPTION_MESSAGE in span.attributes or semconv.EXCEPTION_TYPE in span.attributes
        if not span.events and not on_span:
            return span.status_message[:4096]
        parts = [span.status_message[:4096]] if span.status_message else []
        for attributes in (*(event.attributes for event in span.events[:32]), *((span.attributes,) if on_span else ())):
            kind = semconv.text(attributes.get(semconv.EXCEPTION_TYPE))
            message = semconv.text(attributes.get(semconv.EXCEPTION_MESSAGE))
            if kind or message:
                parts.append(f"{kind[:256]}: {message[:4096]}")
        return "\n".join(parts)[:16_384]

    def allows(self, node: Node) -> bool:
        signal = self.signals.get(node.index)
        return signal is not None and signal.decision == "allow"

    def in_bulk(self, node: Node) -> bool:
        """Whether an ancestor asks many questions at once."""
        for above in self.ancestors(node):
            signal = self.signals.get(above.index)
            if signal is not None and signal.bulk:
                return True
            if above.span.kind in (SpanKind.SERVER, SpanKind.CONSUMER):
                return False
        return False
