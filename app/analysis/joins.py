"""Guesses where a part of the trace belongs whose parent is lost or was never named.

A SERVER root is hung below the childless CLIENT span that its service, path and time fit; an orphan below the hop that its
service and time fit. Every such guess caps the confidence, so a wrong one never speaks loudly.
"""

from __future__ import annotations

import functools

from app.analysis import peers
from app.analysis.reading import Reading
from app.times import SECOND
from app.traces import semconv
from app.traces.model import Node, SpanKind

_SLACK_NS = SECOND // 2  # between unsynchronised hosts
_MOST = 2000  # roots looked at; a trace with more is rubble


def join(reading: Reading) -> list[Node]:
    """Hang what can be placed; returns the roots that were placed, in order."""
    roots = reading.trace.roots
    if len(roots) < 2:
        return []
    entry, others = roots[0], roots[1:_MOST]
    calls = _open_calls(reading)
    placed = []
    trees = {entry.index}
    for root in others:
        home = _call_for(root, calls) if root.span.kind is SpanKind.SERVER else None
        if home is None and root.lost_parent:
            home = _hop_for(reading, entry, root)
        if home is not None and not _within(reading, home, root):
            reading.adopt(home, root)
            calls = [call for call in calls if call is not home]
            placed.append(root)
            trees.add(root.index)
    return placed


def _within(reading: Reading, node: Node, root: Node) -> bool:
    """Whether `node` lies below `root`, so that hanging root below it would close a circle."""
    return node is root or any(above is root for above in reading.ancestors(node))


def _open_calls(reading: Reading) -> list[Node]:
    return [
        node
        for node in reading.trace.nodes
        if node.span.kind is SpanKind.CLIENT and not node.children and peers.is_call_between_services(node.span)
    ]


def _call_for(root: Node, calls: list[Node]) -> Node | None:
    """The childless call that fits best: the service it names, the path, the time."""
    scored = [(score, call.index, call) for call in calls if (score := _fit(root, call)) > 0]
    return max(scored, key=lambda item: (item[0], -item[1]))[2] if scored else None


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


def _time_fits(inner: Node, outer: Node) -> bool:
    if not inner.span.start_ns or not outer.span.start_ns:
        return True
    return outer.start_ns - _SLACK_NS <= inner.start_ns <= outer.end_ns + _SLACK_NS


@functools.lru_cache(maxsize=4096)
def same_service(peer: str, service: str) -> bool:
    """Whether a callee's address names this service: inventory, inventory:8080, inventory.shop.svc.cluster.local."""
    if not peer or not service:
        return False
    a, b = peer.lower(), service.lower()
    if a == b:
        return True
    short_a, short_b = (_plain(name.split(".", 1)[0].split(":", 1)[0]) for name in (a, b))
    return short_a == short_b and len(short_a) > 1 and not short_a.isdigit()


def _plain(name: str) -> str:
    for end in ("-service", "-svc", "-server", "-api", "_service", "service"):
        if name.endswith(end) and len(name) > len(end) + 1:
            name = name.removesuffix(end)
    return name.replace("_", "-")


def _hop_for(reading: Reading, entry: Node, orphan: Node) -> Node | None:
    """The deepest hop the orphan may have hung below: of its own service for inner spans, else one with its answer."""
    inner = orphan.span.kind not in (SpanKind.SERVER, SpanKind.CONSUMER)
    best: tuple[tuple[int, int], Node] | None = None
    answer = reading.answer(orphan)
    for node in reading.subtree(entry):
        if not reading.starts_hop(node) or not _time_fits(orphan, node):
            continue
        own = node.service == orphan.service
        if inner and not own:
            continue
        if not inner and own:
            continue
        rank = (int(reading.answer(node) is answer) if not inner else 1, node.depth)
        if best is None or rank > best[0]:
            best = rank, node
    if best is not None:
        return best[1]
    return entry if _time_fits(orphan, entry) and entry.service != orphan.service else None
