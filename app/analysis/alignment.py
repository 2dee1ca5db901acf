"""Two requests laid side by side: which step of the one is which step of the other, from their entries down.

A step is a span that begins a hop, says something of authentication or authorization, or calls something; spans between
steps are transparent, because two requests of one route differ in them freely. What only one of two requests has, such as
a sidecar that was sampled once, is looked through for what both have.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence

from app.analysis import operations
from app.analysis.reading import Reading
from app.traces.model import Node

_WIDEST = 500  # steps below one step that are matched
_CLOSELY = 40  # of those without a twin, compared one with another
_MOST = 4_000  # steps matched in all
_THROUGH = 3  # steps looked through

Matched = list[tuple["Step", "Step"]]


class Step:
    """A span that matters, and the steps directly below it in the order they began."""

    __slots__ = ("inner", "node")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.inner: list[Step] = []

    def __repr__(self) -> str:
        return f"<Step {self.node!r}>"


class Side:
    """One of the two requests: its reading, its entry's step, and the steps of further roots."""

    def __init__(self, reading: Reading, entry: Node, deciding: Node | None) -> None:
        self.reading = reading
        wanted = {node.index for node in (*reading.hops, *reading.outgoing, entry)} | set(reading.signals)
        if deciding is not None:
            wanted.add(deciding.index)
        closest: dict[int, Step] = {}  # index of a span to the step at or above it
        made: dict[int, Step] = {}
        roots: list[Step] = []
        for node in reading.order:
            parent = reading.parent(node)
            over = closest[parent.index] if parent is not None else None
            if over is not None and node.index not in wanted:
                closest[node.index] = over
                continue
            step = closest[node.index] = made[node.index] = Step(node)
            (roots if over is None else over.inner).append(step)
        self.entry = made[entry.index]
        top = entry
        while (above := reading.parent(top)) is not None:
            top = above
        self.roots = [root for root in roots if root.node is not top]


class _Sides:
    """What both sides know when single steps are compared."""

    def __init__(self, denied: Side, allowed: Side) -> None:
        self.denied, self.allowed = denied.reading, allowed.reading
        self.varying = operations.varying(denied.entry.node.span, allowed.entry.node.span)


class Alignment:
    """pairs: (denied, allowed) spans that are one step, in the denied request's order; only_*: topmost steps of one alone."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Node, Node]] = []
        self.only_denied: list[Node] = []
        self.only_allowed: list[Node] = []
        self.is_cut = False  # there are more steps than were matched

    def allowed_of(self, node: Node) -> Node | None:
        """The allowed request's span for a span of the denied one."""
        return next((theirs for ours, theirs in self.pairs if ours is node), None)


def align(denied: Side, allowed: Side) -> Alignment:
    """Match the steps of two requests whose entries are one operation."""
    found = Alignment()
    sides = _Sides(denied, allowed)
    # Further roots are background work, or parts that lost their parent: siblings of nobody but each other.
    queue = deque([([denied.entry], [allowed.entry]), (denied.roots, allowed.roots)])
    counted = 0
    first = True
    while queue and counted < _MOST:
        left, right = queue.popleft()
        counted += len(left) + len(right)
        found.is_cut = found.is_cut or max(len(left), len(right)) > _WIDEST
        matched, ours, theirs = ([(left[0], right[0])], [], []) if first else _level(left, right, sides)
        first = False
        found.only_denied += [step.node for step in ours]
        found.only_allowed += [step.node for step in theirs]
        for one, other in matched:
            found.pairs.append((one.node, other.node))
            queue.append((one.inner, other.inner))
    found.is_cut = found.is_cut or any(left and right for left, right in queue)
    found.pairs.sort(key=lambda pair: (pair[0].start_ns, pair[0].index))
    for nodes in (found.only_denied, found.only_allowed):
        nodes.sort(key=lambda node: (node.start_ns, node.index))
    return found


def _level(left: Sequence[Step], right: Sequence[Step], sides: _Sides) -> tuple[Matched, list[Step], list[Step]]:
    """The steps below one pair: those that are one, and what only one side has."""
    matched, ours, theirs = _twins(left, right, sides)
    if ours and theirs:
        further, _, theirs = _twins(_within(ours), theirs, sides)
        back, ours, _ = _twins(ours, _within(theirs), sides) if theirs else ([], ours, [])
        matched += further + back
    return matched, ours, theirs


def _within(steps: Sequence[Step]) -> list[Step]:
    """The steps a few levels below these, nearest first."""
    out: list[Step] = []
    level = list(steps)
    for _ in range(_THROUGH):
        level = [inner for step in level for inner in step.inner][:_WIDEST]
        out += level
    return out[:_WIDEST]


def _twins(left: Sequence[Step], right: Sequence[Step], sides: _Sides) -> tuple[Matched, list[Step], list[Step]]:
    """Pairs of equal steps, n-th with n-th, then of those left the alike, in order."""
    waiting: dict[object, deque[Step]] = defaultdict(deque)
    for step in right[:_WIDEST]:
        waiting[_key(step)].append(step)
    matched: Matched = []
    ours: list[Step] = []
    for step in left[:_WIDEST]:
        same = waiting.get(_key(step))
        if same:
            matched.append((step, same.popleft()))
        else:
            ours.append(step)
    taken = {id(other) for _, other in matched}
    theirs = [step for step in right[:_WIDEST] if id(step) not in taken]
    for step in ours[:_CLOSELY]:
        other = next((other for other in theirs[:_CLOSELY] if _alike(step.node, other.node, sides)), None)
        if other is not None:
            matched.append((step, other))
            theirs.remove(other)
    taken = {id(step) for step, _ in matched}
    return matched, [step for step in ours if id(step) not in taken], theirs


def _key(step: Step) -> tuple[object, ...]:
    span = step.node.span
    return span.resource.service, span.kind, operations.key(span)


def _alike(one: Node, other: Node, sides: _Sides) -> bool:
    """Whether two steps that are no twins are one all the same: their paths agree, or one rule read both as a check."""
    if operations.same(one.span, other.span, sides.varying):
        return True
    ours, theirs = sides.denied.signals.get(one.index), sides.allowed.signals.get(other.index)
    if ours is None or theirs is None or one.service != other.service or one.span.kind is not other.span.kind:
        return False
    # Of products whose spans are named after what was asked. A hand-written convention has a name for each check.
    return ours.rule is theirs.rule and ours.is_check and bool(one.span.scope.name) and ours.rule.says != "guard"
