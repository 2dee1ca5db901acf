"""Spans to a trace: parents, order, clock skew, and a list of what was wrong with the data.

No span ever vanishes: what is kept and what is listed as a duplicate or a stranger add up to what came in. Everything is
iterative, because the depth of a trace is its sender's choice.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from itertools import pairwise
from operator import attrgetter

from app.errors import NotATrace
from app.times import MILLISECOND, Nanos, format_duration
from app.traces import garbage
from app.traces.model import Defect, DefectKind, Node, Resource, Span, SpanKind, Trace
from app.traces.otlp import Decoded

_LISTED = 100  # span ids named per defect; `count` has the whole number
_SLACK_NS = MILLISECOND  # clocks of one host, and SDKs that round to milliseconds, differ by this much
_START = attrgetter("start_ns")


def build(decoded: Decoded) -> Trace:
    """The repaired tree of the decoded spans.

    Where the input mixes several trace ids, the one with most spans is built and the rest listed as a defect.
    Errors: NotATrace where there are no spans.
    """
    if not decoded.spans:
        raise NotATrace("This is not a trace: it holds no spans.")
    with garbage.left():
        return _built(decoded)


def _built(decoded: Decoded) -> Trace:
    defects: list[Defect] = []
    trace_id, spans = _one_trace(decoded.spans, defects)
    nodes = [Node(span) for span in _without_duplicates(spans, defects)]
    _link(nodes, defects)
    _cut_cycles(nodes, defects)
    _note_times(nodes, defects)
    roots = _roots(nodes, defects)
    moved = _correct_clocks(roots, defects)
    ordered = _order(roots, moved=moved)
    _note_losses(nodes, decoded, defects)
    return Trace(trace_id, ordered, roots, tuple(defects), as_sent=nodes, partial=decoded.partial, partial_note=decoded.note)


def _defect(kind: DefectKind, detail: str, spans: Iterable[str], count: int, skew_ns: int = 0) -> Defect:
    return Defect(kind, detail, tuple(sorted(set(spans))[:_LISTED]), count, Nanos(skew_ns))


def _several(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _one_trace(spans: list[Span], defects: list[Defect]) -> tuple[str, list[Span]]:
    ids = Counter(span.trace_id for span in spans)
    if len(ids) == 1:
        return spans[0].trace_id, spans
    # Most spans wins; the smaller id breaks a tie, so that the answer does not depend on their order.
    trace_id = min((i for i in ids if i or len(ids) == 1), key=lambda i: (-ids[i], i))
    strangers = [span.span_id for span in spans if span.trace_id != trace_id]
    others = _several(len(ids) - 1, "other trace", "other traces")
    detail = f"Left out: {_several(len(strangers), 'span', 'spans')} of {others}."
    defects.append(_defect(DefectKind.FOREIGN_SPANS, detail, strangers, len(strangers)))
    return trace_id, [span for span in spans if span.trace_id == trace_id]


def _without_duplicates(spans: list[Span], defects: list[Defect]) -> list[Span]:
    """One span per (id, kind), as Tempo counts them: a client and a server span may share an id (Zipkin style)."""
    if len({span.span_id for span in spans}) == len(spans):
        return spans
    kept: dict[tuple[str, SpanKind], Span] = {}
    doubled: list[str] = []
    for span in spans:
        key = (span.span_id, span.kind)
        other = kept.get(key)
        if other is None:
            kept[key] = span
        else:
            doubled.append(span.span_id)
            if _fullness(span) > _fullness(other):
                kept[key] = span
    if doubled:
        detail = f"{_several(len(doubled), 'span was', 'spans were')} delivered more than once; the fullest copy is kept."
        defects.append(_defect(DefectKind.DUPLICATE_SPANS, detail, doubled, len(doubled)))
    return list(kept.values())


def _fullness(span: Span) -> tuple[int, int]:
    """An exporter that sends twice may send an unfinished span first."""
    return len(span.attributes) + len(span.events) + len(span.links), span.end_ns


def _link(nodes: list[Node], defects: list[Defect]) -> None:
    by_id = {node.span.span_id: node for node in nodes}
    shared = _shared(nodes) if len(by_id) < len(nodes) else {}
    lost: list[str] = []
    for node in nodes:
        span = node.span
        parent_id = span.parent_id
        if shared and span.kind is SpanKind.SERVER and span.span_id in shared:
            # Of the spans that share an id the server's hangs below the client's, whatever its parent id says.
            node.parent = next((twin for twin in shared[span.span_id] if twin.span.kind is SpanKind.CLIENT), None)
            if node.parent is not None:
                continue
        if not parent_id:
            continue
        parent = _parent_among(shared[parent_id], span) if parent_id in shared else by_id.get(parent_id)
        if parent is None:
            node.lost_parent = True
            lost.append(span.span_id)
        else:
            node.parent = parent
    if lost:
        detail = f"{_several(len(lost), 'span names', 'spans name')} a parent that is not in the trace."
        defects.append(_defect(DefectKind.ORPHAN_SPANS, detail, lost, len(lost)))


def _shared(nodes: list[Node]) -> dict[str, list[Node]]:
    """The ids that several spans have, with those spans by kind."""
    by_id: dict[str, list[Node]] = {}
    for node in nodes:
        by_id.setdefault(node.span.span_id, []).append(node)
    return {span_id: sorted(twins, key=lambda n: n.span.kind) for span_id, twins in by_id.items() if len(twins) > 1}


def _parent_among(choice: list[Node], child: Span) -> Node:
    """Of several spans with the parent's id: the one of the child's own process, else the server's."""
    own = [node for node in choice if node.span.resource is child.resource]
    servers = [node for node in own or choice if node.span.kind is SpanKind.SERVER]
    return (servers or own or choice)[0]


def _cut_cycles(nodes: list[Node], defects: list[Defect]) -> None:
    """Make each cycle's earliest span a root: a span that is its own ancestor would be reached by no walk from above."""
    state: dict[Node, int] = {}  # the number of the climb that met the node
    cut: list[str] = []
    cycles = 0
    for climb, start in enumerate(nodes):
        node: Node | None = start
        while node is not None and node not in state:
            state[node] = climb
            node = node.parent
        if node is None or state[node] != climb:
            continue
        cycles += 1
        ring = [node]
        while (step := ring[-1].parent) is not None and step is not node:
            ring.append(step)
        min(ring, key=_by_start).parent = None
        cut.extend(n.span.span_id for n in ring)
    if cycles:
        detail = (
            f"{_several(len(cut), 'span stands', 'spans stand')} in a circle of parents; the earliest is taken as the first."
        )
        defects.append(_defect(DefectKind.PARENT_CYCLE, detail, cut, len(cut)))


def _by_start(node: Node) -> tuple[int, int, str, SpanKind]:
    """Siblings' order: by corrected start, and never by the order in which they arrived."""
    return node.start_ns, node.end_ns, node.span.span_id, node.span.kind


def _sort(siblings: list[Node]) -> None:
    """By start; the rest of the order is looked at only where two start together."""
    siblings.sort(key=_START)
    if any(one.start_ns == next_.start_ns for one, next_ in pairwise(siblings)):
        siblings.sort(key=_by_start)


def _note_times(nodes: list[Node], defects: list[Defect]) -> None:
    broken = [n.span.span_id for n in nodes if _times_broken(n.span)]
    if broken:
        detail = f"{_several(len(broken), 'span has', 'spans have')} a start or end of zero, or an end before the start."
        defects.append(_defect(DefectKind.BROKEN_TIMESTAMPS, detail, broken, len(broken)))


def _times_broken(span: Span) -> bool:
    return not span.start_ns or not span.end_ns or span.end_ns < span.start_ns


def _roots(nodes: list[Node], defects: list[Defect]) -> list[Node]:
    for node in nodes:
        parent = node.parent
        if parent is not None:
            if parent.children:
                parent.children.append(node)
            else:
                parent.children = [node]
    for node in nodes:
        if len(node.children) > 1:  # clocks are learned in this order, which must not be the order of arrival
            _sort(node.children)
    # The entry first: a whole root before one whose parent is missing, then the earliest with a credible time.
    roots = [node for node in nodes if node.parent is None]
    roots.sort(key=lambda n: (n.lost_parent, not n.span.start_ns, *_by_start(n)))
    true_roots = [node for node in roots if not node.lost_parent]
    if len(true_roots) > 1:
        detail = f"The trace has {len(true_roots)} roots: {', '.join(dict.fromkeys(n.service for n in true_roots[:8]))}."
        defects.append(_defect(DefectKind.MULTIPLE_ROOTS, detail, [n.span.span_id for n in true_roots], len(true_roots)))
    return roots


# ------------------------------------------------------------------------------------------------------------ clocks


def _correct_clocks(roots: list[Node], defects: list[Defect]) -> bool:
    """Shift what another host's clock put outside its parent; True where any span was moved.

    One offset per resource, learned where a call crosses from one to another:

        client  |-----------|                     the server's span lies after the call that it answers,
        server                |-------|           so its clock is ahead: it is shifted to the call's middle
        server    |-------|
    """
    offsets: dict[Resource, int] = {}
    found: dict[tuple[str, str], list[tuple[int, str]]] = {}
    sounds: dict[Node, str] = {}  # of those that are shifted
    moved = False
    queue = deque(roots)
    for root in roots:
        offsets.setdefault(root.span.resource, 0)
    while queue:
        node = queue.popleft()
        if node.children:
            queue.extend(node.children)
        span, parent = node.span, node.parent
        resource = span.resource
        if parent is None:
            shift = offsets[resource]
        elif resource is parent.span.resource:
            shift = parent.shift_ns
        else:
            shift = offsets.get(resource, 0)
            if span.start_ns + shift < parent.start_ns or span.end_ns + shift > parent.end_ns:
                shift = _shift(parent, node, shift)
            offsets.setdefault(resource, shift)
        if shift and parent is not None:
            moved = True
            # Named against the nearest caller whose clock was left alone, which is what the shift is relative to.
            sound = sounds[node] = sounds[parent] if parent.shift_ns else parent.service
            if resource is not parent.span.resource:
                found.setdefault((sound, node.service), []).append((shift, span.span_id))
            node.shift_ns = shift
            node.start_ns += shift
            node.end_ns += shift
        if parent is not None and not span.start_ns:
            # A start of zero says nothing; its parent's start is the earliest it can have been.
            moved = True
            node.start_ns = parent.start_ns
            node.end_ns = max(node.end_ns, node.start_ns)
    for (caller, callee), shifts in found.items():
        worst = max(shifts, key=lambda s: abs(s[0]))[0]
        ahead = "ahead of" if worst < 0 else "behind"
        detail = f"The clock of {callee} is {format_duration(abs(worst))} {ahead} that of {caller}; times are corrected here."
        defects.append(_defect(DefectKind.CLOCK_SKEW, detail, [s[1] for s in shifts], len(shifts), -worst))
    return moved


def _shift(parent: Node, child: Node, known: int) -> int:
    """The shift for a child that lies outside its parent: the known one while it is possible, else the least surprising."""
    if _times_broken(parent.span) or _times_broken(child.span):
        return known
    earliest = parent.start_ns - child.span.start_ns  # a smaller shift starts the child before its cause
    latest = parent.end_ns - child.span.end_ns  # a larger one ends it after the answer arrived
    if known < earliest - _SLACK_NS:
        return (earliest + latest) // 2 if latest > earliest else earliest
    if child.span.kind is SpanKind.CONSUMER or parent.span.kind is SpanKind.PRODUCER:
        return known  # a message may be handled long after it was sent
    starts_late = child.span.start_ns + known > parent.end_ns + _SLACK_NS
    # Work may go on after the answer was sent, and a client's span ends with the headers: an overhang alone is no skew.
    if starts_late:
        return (earliest + latest) // 2 if latest >= earliest else earliest
    return known


def _order(roots: Sequence[Node], *, moved: bool) -> list[Node]:
    """Parents before children. Siblings have been sorted by their own clocks; where any was corrected, once more."""
    ordered: list[Node] = []
    stack = list(reversed(roots))
    while stack:
        node = stack.pop()
        node.index = len(ordered)
        node.depth = node.parent.depth + 1 if node.parent is not None else 0
        ordered.append(node)
        if node.children:
            if moved and len(node.children) > 1:
                _sort(node.children)
            stack.extend(reversed(node.children))
    return ordered


def _note_losses(nodes: list[Node], decoded: Decoded, defects: list[Defect]) -> None:
    cut = [n.span.span_id for n in nodes if n.span.dropped_attributes or n.span.dropped_events or n.span.dropped_links]
    if decoded.partial:
        words = f" It said: {decoded.note}" if decoded.note else ""
        defects.append(_defect(DefectKind.TRUNCATED_TRACE, f"The backend answered with a part of the trace.{words}", (), 1))
    if cut:
        detail = f"{_several(len(cut), 'span lost', 'spans lost')} attributes, events or links to limits in the sender."
        defects.append(_defect(DefectKind.TRUNCATED_TRACE, detail, cut, len(cut)))
    if decoded.unreadable_ids:
        count = len(decoded.unreadable_ids)
        detail = f"An empty or unreadable id: {_several(count, 'span is', 'spans are')} shown under a made-up one."
        defects.append(_defect(DefectKind.INVALID_IDS, detail, decoded.unreadable_ids, count))
