"""How the spans of one trace stand to each other, as nested sets: the numbering that Tempo's structural queries rest on.

A (1, 8)            Every span has a left and a right number from one walk through the tree; a descendant's pair lies
├── B (2, 5)        inside its ancestor's. `parent` is the parent's left number, -1 for a root. A span that no root
│   └── C (3, 4)    leads to (its parent never came, or the parents form a ring) has 0 everywhere and is related to
└── D (6, 7)        nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.traces.model import Span, SpanKind


class NestedSets:
    """`left`, `right` and `parent` of each span, by its place in the sequence."""

    __slots__ = ("left", "parent", "right")

    def __init__(self, spans: Sequence[Span]) -> None:
        count = len(spans)
        self.left = [0] * count
        self.right = [0] * count
        self.parent = [0] * count
        self._walk(spans)

    def _walk(self, spans: Sequence[Span]) -> None:
        children = _children(spans)
        number = 1
        # A span's place is pushed twice: to open it, and, with the sign of an inverted bit, to close it.
        stack = [place for place in reversed(range(len(spans))) if not spans[place].parent_id]
        for place in stack:
            self.parent[place] = -1
        while stack:
            place = stack.pop()
            if place < 0:
                self.right[~place] = number
                number += 1
                continue
            if self.left[place]:
                continue
            self.left[place] = number
            number += 1
            stack.append(~place)
            for child in reversed(children.get(place, ())):
                if not self.left[child]:
                    self.parent[child] = self.left[place]
                    stack.append(child)


def _children(spans: Sequence[Span]) -> dict[int, list[int]]:
    places: dict[str, int] = {}
    for place, span in enumerate(spans):
        # Zipkin gives a client's span and the server's one id: what happened below it happened in the server.
        if span.span_id not in places or span.kind is SpanKind.SERVER:
            places[span.span_id] = place
    children: dict[int, list[int]] = {}
    for place, span in enumerate(spans):
        parent = places.get(span.parent_id) if span.parent_id else None
        if parent is not None and parent != place:
            children.setdefault(parent, []).append(place)
    return children
