"""Two requests laid side by side: which step of the one is which step of the other, from their entries down.

A step is a span that begins a hop, says something of authentication or authorization, or calls something; spans between
steps are transparent, because two requests of one route differ in them freely. Steps below a matched pair are matched by
what they are first, then by what they do; a hop that only one of them has, such as a sidecar, is looked through.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence

from app.analysis import operations
from app.analysis.reading import Reading
from app.traces.model import Node

_WIDEST = 500  # steps below one step that are matched; the rest of a wider one stays unmatched and uncounted
_CLOSELY = 40  # of those without an exact twin
_MOST_STEPS = 4_000  # compared in all
_THROUGH = 2  # hops looked through


class Step:
    """A span that matters, and the steps directly below it in the order they began."""

    __slots__ = ("inner", "node")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.inner: list[Step] = []

    def __repr__(self) -> str:
        return f"<Step {self.node!r}>"


class Alignment:
    """pairs: (denied, allowed) nodes that are one step, in the denied request's order. only_*: topmost steps of one alone."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Node, Node]] = []
        self.only_denied: list[Node] = []
        self.only_allowed: list[Node] = []

    def finish(self) -> None:
        self.pairs.sort(key=lambda pair: (pair[0].start_ns, pair[0].index))
        self.only_denied.sort(key=lambda node: (node.start_ns, node.index))
        self.only_allowed.sort(key=lambda node: (node.start_ns, node.index))


def steps(reading: Reading, entry: Node, deciding: Node | None) -> tuple[Step, list[Step]]:
    """The step of the entry, and those of the further roots."""
    wanted = {node.index for node in (*reading.hops, *reading.outgoing)} | set(reading.signals) | {entry.index}
    if deciding is not None:
        wanted.add(deciding.index)
    made: dict[int, Step] = {}
    above: dict[int, Step] = {}  # index of a span to the closest step at or above it
    roots: list[Step] = []
    for node in reading.order:
        parent = reading.parent(node)
        over = above.get(parent.index) if parent is not None else None
        if node.index in wanted or over is None:
            step = made[node.index] = above[node.index] = Step(node)
            (over.inner if over is not None else roots).append(step)
        else:
            above[node.index] = over
    first = made[entry.index]
    return first, [root for root in roots if root is not first]


def align(ours: tuple[Step, list[Step]], theirs: tuple[Step, list[Step]], rules: tuple[Reading, Reading]) -> Alignment:
    """Match the steps of two requests whose entries are one operation."""
    found = Alignment()
    kind = _Kinds(*rules)
    # Further roots are background work, or parts that lost their parent; they are siblings of nobody but each other.
    queue = deque([([ours[0]], [theirs[0]], True), (ours[1], theirs[1], False)])
    counted = 0
    while queue:
        left, right, forced = queue.popleft()
        counted += len(left) + len(right)
        if counted > _MOST_STEPS:
            break
        matched, lonely, others = ([(left[0], right[0])], [], []) if forced else _level(left, right, kind)
        for one, other in matched:
            found.pairs.append((one.node, other.node))
            queue.append((one.inner, other.inner, False))
        found.only_denied.extend(step.node for step in lonely)
        found.only_allowed.extend(step.node for step in others)
    found.finish()
    return found


class _Kinds:
    """What a step is, as a key: service, kind, the rule that read it, its name without ids."""

    def __init__(self, denied: Reading, allowed: Reading) -> None:
        self._readings = denied, allowed

    def of(self, step: Step, side: int) -> tuple[object, ...]:
        span = step.node.span
        signal = self._readings[side].signals.get(step.node.index)
        return span.resource.service, span.kind, operations.name(span), signal.rule.id if signal is not None else ""

    def alike(self, one: Step, other: Step) -> bool:
        """Whether two steps that are no exact twins are one all the same."""
        a, b = one.node, other.node
        if operations.same(a.span, b.span):
            return True
        ours, theirs = self._readings[0].signals.get(a.index), self._readings[1].signals.get(b.index)
        if ours is None or theirs is None or a.service != b.service or a.span.kind is not b.span.kind:
            return False
        # A check whose span is named after what it is about: one rule read both.
        return ours.rule is theirs.rule and ours.is_check and ours.phase is theirs.phase and a.span.scope.name != ""


def _level(left: Sequence[Step], right: Sequence[Step], kinds: _Kinds) -> tuple[list[tuple[Step, Step]], list[Step], list[Step]]:
    """Match the steps below one pair; what is left on either side."""
    matched, ours, theirs = _twins(left[:_WIDEST], right[:_WIDEST], kinds)
    for _ in range(_THROUGH):
        if not ours or not theirs:
            break
        further, seen_through = _through(ours, theirs, kinds, mirrored=False)
        matched += further
        back, seen_back = _through(theirs, ours, kinds, mirrored=True)
        matched += back
        if not further and not back:
            break
        taken = {id(step) for pair in (*further, *back) for step in pair}
        ours = [step for step in ours if id(step) not in taken]
        theirs = [step for step in theirs if id(step) not in taken]
        del seen_through, seen_back
    return matched, ours, theirs


def _through(
    outer: list[Step], others: list[Step], kinds: _Kinds, *, mirrored: bool
) -> tuple[list[tuple[Step, Step]], list[Step]]:
    raise NotImplementedError


def _twins(left: Sequence[Step], right: Sequence[Step], kinds: _Kinds) -> tuple[list[tuple[Step, Step]], list[Step], list[Step]]:
    raise NotImplementedError


def walk(step: Step) -> Iterator[Step]:
    stack = [step]
    while stack:
        here = stack.pop()
        yield here
        stack.extend(reversed(here.inner))


_ = defaultdict
