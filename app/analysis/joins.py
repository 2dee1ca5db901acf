"""Guesses where a part of the trace belongs whose parent is lost or was never named.

A SERVER root is hung below the childless CLIENT span that its service, path and time fit. Where a SERVER span itself was
lost, its surviving children are hung below the childless CLIENT span that called their service; any other orphan below the
hop that its service and time fit. Every such guess caps the confidence, so a wrong one never speaks loudly.
"""

from __future__ import annotations

import bisect
import functools

from app.analysis import peers, wording
from app.analysis.answers import REFUSALS
from app.analysis.reading import Reading
from app.times import SECOND
from app.traces import semconv
from app.traces.model import Node, SpanKind

_SLACK_NS = SECOND // 2  # between unsynchronised hosts
_FAR_NS = 30 * SECOND  # an orphan says by its trace id that it belongs; its clock was never set against the others
_MOST = 2000  # roots looked at; a trace with more is rubble
_LOOKED_AT = 500  # calls or hops weighed for one root, fewer where there are many roots
_WEIGHED = 10_000  # in all: pairs of roots and calls would grow with the square of a trace's size


def join(reading: Reading) -> list[Node]:
    """Hang what can be placed; returns the roots that were placed, in order."""
    roots = reading.trace.roots
    if len(roots) < 2:
        return []
    entry, others = roots[0], roots[1:_MOST]
    most = max(16, min(_LOOKED_AT, _WEIGHED // len(others)))
    calls = _Calls(reading, most)
    hops = _Hops(reading, entry, most)
    placed = []
    for root in others:
        if root.span.kind is SpanKind.SERVER:
            home = calls.fitting(root)
        else:
            home = calls.of_lost_server(root) if root.lost_parent and root.span.kind is not SpanKind.CONSUMER else None
        if home is None and root.lost_parent:
            home = calls.around(root) or hops.fitting(root)
        if home is None or _top(reading, home) is root:
            continue  # hanging it there would close a circle
        reading.adopt(home, root)
        calls.take(home, root)
        placed.append(root)
    return placed


def _top(reading: Reading, node: Node) -> Node:
    """The root above a span, over the joins made so far."""
    root = reading.root_of(node)
    while (parent := reading.joined.get(root.index)) is not None:
        root = reading.root_of(parent)
    return root


class _Near:
    """Of many spans those that began last before a root did, and so may be what it hung from."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._sorted: dict[int, tuple[list[Node], list[int]]] = {}  # by the identity of a list that lives as long

    def __call__(self, nodes: list[Node], root: Node) -> list[Node]:
        if len(nodes) <= self._most:
            return nodes
        known = self._sorted.get(id(nodes))
        if known is None:
            ordered = sorted(nodes, key=lambda node: node.start_ns)
            known = self._sorted[id(nodes)] = ordered, [node.start_ns for node in ordered]
        ordered, starts = known
        end = max(self._most, bisect.bisect_right(starts, root.start_ns + _SLACK_NS))
        return ordered[end - self._most : end]


class _Calls:
    """The childless calls of a trace, found by the service, path or method they name."""

    def __init__(self, reading: Reading, most: int) -> None:
        self._reading = reading
        self._near = _Near(most)
        self._all: list[Node] = []
        self._unnamed: list[Node] = []
        self._by: dict[tuple[str, str], list[Node]] = {}
        self._taken: dict[int, str] = {}  # the call, and the id of the server span that it led to
        for node in reading.trace.nodes:
            if node.span.kind is SpanKind.CLIENT and not node.children and peers.is_call_between_services(node.span):
                self._all.append(node)
                if wording.is_bare(semconv.peer(node.span)):
                    self._unnamed.append(node)
                for key in (("peer", _short(semconv.peer(node.span))), ("path", semconv.path(node.span)),
                            ("rpc", peers.rpc_name(node.span))):  # fmt: skip
                    if key[1]:
                        self._by.setdefault(key, []).append(node)

    def fitting(self, root: Node) -> Node | None:
        """The call that fits best: the service it names, the path, the time."""
        span = root.span
        keys = ("peer", _short(root.service)), ("path", semconv.path(span)), ("rpc", peers.rpc_name(span))
        calls = {call.index: call for key in keys for call in self._near(self._by.get(key, []), root)}
        scored = [(score, -index) for index, call in calls.items()
                  if index not in self._taken and (score := _fit(root, call)) > 0]  # fmt: skip
        return calls[-max(scored)[1]] if scored else None

    def of_lost_server(self, orphan: Node) -> Node | None:
        """The last call of the orphan's service that may have been answered by the lost span it hung from."""
        found = None
        for call in self._near(self._by.get(("peer", _short(orphan.service)), []), orphan):
            led_to = self._taken.get(call.index, orphan.span.parent_id)
            if led_to != orphan.span.parent_id or call.service == orphan.service or not _time_fits(orphan, call):
                continue
            if same_service(semconv.peer(call.span), orphan.service) and (found is None or call.start_ns > found.start_ns):
                found = call
        return found if found is not None else self._unnamed_around(orphan)

    def _unnamed_around(self, orphan: Node) -> Node | None:
        """The one call to a bare address that ran around the orphan: nothing else can have led to its service."""
        found = None
        for call in self._unnamed[:_LOOKED_AT]:
            led_to = self._taken.get(call.index, orphan.span.parent_id)
            if led_to != orphan.span.parent_id or call.service == orphan.service:
                continue
            if call.start_ns <= orphan.start_ns and orphan.end_ns <= call.end_ns:
                if found is not None:
                    return None
                found = call
        return found

    def around(self, orphan: Node) -> Node | None:
        """The one call that was refused as the orphaned server refused, while it did: the hop between the two is lost."""
        if orphan.span.kind is not SpanKind.SERVER or (refused := self._reading.answer(orphan)) not in REFUSALS:
            return None
        found = None
        for call in self._near(self._all, orphan):
            if call.index in self._taken or call.service == orphan.service or self._reading.answer(call) is not refused:
                continue
            if call.start_ns <= orphan.start_ns and orphan.end_ns <= call.end_ns:
                if found is not None:
                    return None
                found = call
        return found

    def take(self, call: Node, root: Node) -> None:
        self._taken[call.index] = root.span.span_id if root.span.kind is SpanKind.SERVER else root.span.parent_id


class _Hops:
    """The hops of the entry's tree, by service."""

    def __init__(self, reading: Reading, entry: Node, most: int) -> None:
        self._reading = reading
        self._near = _Near(most)
        self._entry = entry
        self._all = [node for node in reading.subtree(entry) if reading.starts_hop(node)]
        self._own: dict[str, list[Node]] = {}
        for node in self._all:
            self._own.setdefault(node.service, []).append(node)

    def fitting(self, orphan: Node) -> Node | None:
        """The deepest hop the orphan may have hung below: an inner span's own service, else one that may have called it."""
        inner = orphan.span.kind not in (SpanKind.SERVER, SpanKind.CONSUMER)
        own = self._own.get(orphan.service, []) if inner else []
        answer = self._reading.answer(orphan)
        best: tuple[tuple[bool, bool, int], Node] | None = None
        for node in self._near(own or self._all, orphan):
            if not _time_fits(orphan, node, _FAR_NS) or (not own and node.service == orphan.service):
                continue
            rank = _time_fits(orphan, node), inner or self._reading.answer(node) is answer, node.depth
            if best is None or rank > best[0]:
                best = rank, node
        if best is not None:
            return best[1]
        return self._entry if _time_fits(orphan, self._entry, _FAR_NS) and self._entry.service != orphan.service else None


def _fit(root: Node, call: Node) -> int:
    if not _time_fits(root, call):
        return 0
    named = same_service(semconv.peer(call.span), root.service)
    theirs, ours = semconv.path(call.span), semconv.path(root.span)
    same_path = bool(theirs) and theirs == ours
    if theirs and ours and not same_path:
        return 0
    rpc = peers.rpc_name(call.span)
    same_rpc = bool(rpc) and rpc == peers.rpc_name(root.span)
    if rpc and not same_rpc and peers.rpc_name(root.span):
        return 0
    verbs = semconv.method(call.span), semconv.method(root.span)
    if all(verbs) and verbs[0] != verbs[1]:
        return 0
    statuses = semconv.http_status(call.span), semconv.http_status(root.span)
    if None not in statuses and statuses[0] != statuses[1]:
        return 0
    if call.service == root.service:
        return 0
    if not named and not same_path and not same_rpc:
        return 0
    return 1 + 4 * named + 2 * (same_path or same_rpc)


def _time_fits(inner: Node, outer: Node, slack_ns: int = _SLACK_NS) -> bool:
    if not inner.span.start_ns or not outer.span.start_ns:
        return True
    return outer.start_ns - slack_ns <= inner.start_ns <= outer.end_ns + slack_ns


@functools.lru_cache(maxsize=4096)
def same_service(peer: str, service: str) -> bool:
    """Whether a callee's address names this service: inventory, inventory:8080, inventory.shop.svc.cluster.local."""
    if not peer or not service:
        return False
    a, b = peer.lower(), service.lower()
    if a == b:
        return True
    short_a, short_b = _short(a), _short(b)
    return short_a == short_b and len(short_a) > 1 and not short_a.isdigit()


def _short(name: str) -> str:
    """The first label of a name, without port and without what only says that it is a service."""
    return _plain(name.lower().split(".", 1)[0].split(":", 1)[0])


def _plain(name: str) -> str:
    for end in ("-service", "-svc", "-server", "-api", "_service", "service"):
        if name.endswith(end) and len(name) > len(end) + 1:
            name = name.removesuffix(end)
    return name.replace("_", "-")
