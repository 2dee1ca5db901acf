"""Where a request came in: the span whose answer the client saw."""

from __future__ import annotations

from app.analysis.reading import Reading
from app.analysis.signals import is_browser
from app.traces import semconv
from app.traces.model import Node, SpanKind

_REQUESTS = (SpanKind.SERVER, SpanKind.CONSUMER)
_MOST = 50
_STARTED = ("pubsub", "datasource", "timer")


def find(reading: Reading) -> Node:
    """The entry: the first root, or the one server span that a client's own root leads to."""
    roots = [root for root in reading.trace.roots if root.index not in reading.joined]
    begun = [root for root in roots if not _is_linked(reading, root)] or roots
    whole = [root for root in begun if not root.lost_parent]
    for candidates in (whole, roots):
        for root in candidates:
            if root.span.kind in _REQUESTS:
                return root
        for root in candidates[:_MOST]:
            served = _served(reading, root)
            if served is not None:
                return served
        if candidates:
            return candidates[0]
    return roots[0]


def is_taken_up(node: Node) -> bool:
    """Whether the span takes up work that was left for it: a consumer's, or a function's that a message or a clock started."""
    return node.span.kind == SpanKind.CONSUMER or (
        node.span.kind == SpanKind.SERVER and semconv.text(node.span.attributes.get("faas.trigger")) in _STARTED
    )


def _is_linked(reading: Reading, root: Node) -> bool:
    """Whether the root took up work that another span of this trace had sent; its clock may say that it came first."""
    by_id = reading.trace.by_id
    return is_taken_up(root) and any(
        (sent := by_id.get(link.span_id)) is not None and reading.root_of(sent) is not root for link in root.span.links[:50]
    )


def others(reading: Reading, entry: Node) -> list[Node]:
    """Further request roots that could not be placed below the entry, in order."""
    top = entry
    for above in reading.ancestors(entry):
        top = above
    return [
        root
        for root in reading.trace.roots
        if root is not top and root.index not in reading.joined and root.span.kind in _REQUESTS
    ][:_MOST]


def _served(reading: Reading, root: Node) -> Node | None:
    """The single server span below a client's root; None where the root leads to several, or does work of its own."""
    found: list[Node] = []
    calls = 0
    stack = [root]
    while stack:
        node = stack.pop()
        if node.span.kind == SpanKind.SERVER:
            found.append(node)
            if len(found) > 1:
                return None
            continue
        if node.span.kind == SpanKind.CLIENT:
            calls += 1
        stack.extend(reading.kids(node))
    if not found:
        return None
    if root.span.kind == SpanKind.CLIENT or is_browser(root) or calls <= 1:
        return found[0]
    return None
