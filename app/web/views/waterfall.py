"""The waterfall: at most a window of rows, whatever the size of the trace, with everything hidden counted.

The overview shows the spans that matter (the verdict's own, with their ancestors), then the rest from the top down while
there is room. What is left out between two shown rows is one fold row. It stands for a stretch of the causal order, so the
list from any row on (`?from=`) shows it whole: nothing is out of reach, and nothing is hidden without a row that says so.

    edge-gateway  POST /exports
      orders        POST /exports
        orders        export row
          2,972 spans folded: export row (592), SELECT (592)      -> ?from=3
        orders        auth.permission_check            Deny
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.analysis.verdict import Decision
from app.traces import semconv
from app.traces.model import Node, SpanKind, Trace
from app.web.views.asked import Asked
from app.web.views.axis import Axis
from app.web.views.reading import Reading
from app.web.views.rows import Row, Rows

WINDOW = 150  # rows of a list; also the largest trace that the overview shows whole
_CHOSEN = 84  # shown spans of a larger trace or a filter; with a fold between any two they stay near the window
_CORE = 64  # of those, at most so many because of the verdict
_MATCHES = 60  # spans that a filter shows at once; the rest of the room is for their ancestors
_SAME = 3  # of sisters with one name the first few stand for all
_SEARCHED = 10_000  # characters of one attribute that "find" looks at


@dataclass(frozen=True)
class Page:
    """A link to other rows, and what it shows."""

    label: str
    href: str


@dataclass(frozen=True)
class Waterfall:
    """shown, total: spans. start: the first row of a complete list, None for a choice of rows.
    note:         what a filter found and left out
    links:        to the rows before, after, and all of them
    refused_x:    where the line of the refusal runs
    """

    rows: tuple[Row, ...]
    total: int
    start: int | None
    note: str
    links: tuple[Page, ...]
    refused_x: float | None
    tone: str

    @property
    def shown(self) -> int:
        return sum(row.kind == "span" for row in self.rows)

    @property
    def count(self) -> str:
        """`16 of 19 spans, 3 folded`"""
        if self.start is not None:
            return f"{self.start + 1:,} to {self.start + self.shown:,} of {self.total:,} spans"
        folded = self.total - self.shown
        return f"{self.shown:,} of {self.total:,} spans" + (f", {folded:,} folded" if folded else "")


def waterfall(reading: Reading, axis: Axis, asked: Asked) -> Waterfall:
    """The rows that an address asks for."""
    trace = reading.trace
    if asked.start is not None and not asked.is_filtered:
        return _complete(reading, axis, asked, asked.start)
    if asked.find or asked.service:
        return _filtered(reading, axis, asked)
    if asked.show == "path":
        kept = _core(reading, asked.span, _CHOSEN, only_path=True)
    elif len(trace) <= WINDOW:
        kept = _all_but_noise(reading, asked.span)
    else:
        kept = reading.once(("overview", asked.span), lambda: _overview(reading, asked.span))
    rows = tuple(Rows(reading, axis, asked).between(kept))
    every = () if not any(row.kind == "fold" for row in rows) else (_every_span(asked),)
    return Waterfall(rows, len(trace), None, "", every, _refused_x(reading, axis), reading.tone)


def unfolded(reading: Reading, axis: Axis, asked: Asked, start: int, end: int) -> tuple[Row, ...]:
    """The spans from row `start` to before `end`, at most a window of them; what is left is a fold again."""
    end = max(0, min(end, len(reading.trace)))
    start = max(0, min(start, end))
    stop = min(end, start + WINDOW)
    make = Rows(reading, axis, asked)
    return (*make.listed(range(start, stop)), *((make.fold(stop, end),) if stop < end else ()))


def services(trace: Trace) -> tuple[tuple[str, int], ...]:
    """Services in the order met, with the number of their spans."""
    return tuple(Counter(node.service for node in trace.nodes).items())


def holds(node: Node, text: str) -> bool:
    """Whether a span's name, service, id, status words or attributes hold the text, without regard to case."""
    wanted, span = text.casefold(), node.span
    if any(wanted in value.casefold() for value in (span.name, node.service, span.span_id, span.status_message)):
        return True
    return any(
        wanted in key.casefold() or wanted in semconv.text(value)[:_SEARCHED].casefold()
        for key, value in span.attributes.items()
    )


# ------------------------------------------------------------------------------------------------- the three ways to look


def _complete(reading: Reading, axis: Axis, asked: Asked, start: int) -> Waterfall:
    """All spans in causal order, from one row on."""
    total = len(reading.trace)
    start = max(0, min(start, total - 1))
    end = min(total, start + WINDOW)
    links = [Page("Back to the overview", asked.href(start=None) + "#spans")]
    if start:
        links.append(Page(f"Previous {min(WINDOW, start):,}", asked.href(start=max(0, start - WINDOW)) + "#spans"))
    if end < total:
        links.append(Page(f"Next {min(WINDOW, total - end):,}", asked.href(start=end) + "#spans"))
    rows = tuple(Rows(reading, axis, asked).listed(range(start, end)))
    return Waterfall(rows, total, start, "", tuple(links), _refused_x(reading, axis), reading.tone)


def _filtered(reading: Reading, axis: Axis, asked: Asked) -> Waterfall:
    """The spans of a service, or that hold a text, from a row on; their ancestors while there is room."""
    nodes = reading.trace.nodes
    wanted = [
        node.index
        for node in nodes
        if (not asked.service or node.service == asked.service) and (not asked.find or holds(node, asked.find))
    ]
    some = [index for index in wanted if index >= (asked.start or 0)][:_MATCHES]
    kept = set(some)
    for index in some:
        for ancestor, _ in zip(nodes[index].ancestors(), range(6), strict=False):
            if len(kept) < _CHOSEN:
                kept.add(ancestor.index)
    what = " and ".join([f"are of {asked.service}"] * bool(asked.service) + [f"hold “{asked.find}”"] * bool(asked.find))
    note = f"{len(wanted):,} of {len(nodes):,} spans {what}."
    focus = reading.trace.by_id.get(reading.focus)
    if focus is not None and focus.index not in kept and reading.verdict.span_id:
        kept.add(focus.index)
        note += " The deciding span is shown all the same."
    links = [Page("Show all spans", asked.href(service="", find="", start=None) + "#spans")]
    rest = [index for index in wanted if some and index > some[-1]]
    if rest:
        links.append(Page(f"Next {min(len(rest), _MATCHES):,}", asked.href(start=rest[0]) + "#spans"))
    matches = frozenset(wanted) if asked.find else frozenset()
    rows = tuple(Rows(reading, axis, asked, matches).between(kept))
    return Waterfall(rows, len(nodes), None, note, tuple(links), _refused_x(reading, axis), reading.tone)


def _every_span(asked: Asked) -> Page:
    return Page("All spans in order", asked.href(start=0, show="") + "#spans")


def _refused_x(reading: Reading, axis: Axis) -> float | None:
    return None if reading.refused_ns is None else axis.x(reading.refused_ns)


# ------------------------------------------------------------------------------------------------ choosing the spans


def _core(reading: Reading, chosen: str, limit: int, *, only_path: bool = False) -> set[int]:
    """What the verdict speaks of, the most telling first, each with its ancestors while there is room."""
    known, verdict = reading.trace.by_id, reading.verdict
    kept = set(_ends(reading.chain, limit // 2))
    if chosen in known:
        kept.update(_ends(_lineage(known[chosen]), limit // 3))
    refusing = (Decision.DENY, Decision.ERROR, Decision.UNKNOWN)
    places = [place.span_id for place in (verdict.enforced_by, verdict.entry) if place]
    places += [layer.span_id for layer in verdict.layers if layer.decision in refusing]
    places += [ground.span_id for ground in verdict.grounds]
    places += [*reading.gaps, *(hop.span_id for hop in verdict.path if hop.relay)]
    if not only_path:
        places += [effect.span_id for effect in verdict.side_effects]
        # One hop per service, one check per layer and service stand for their like: an export may make thousands of them.
        places += {hop.service: hop.span_id for hop in reversed(verdict.path)}.values()
        places += [finding.span_id for finding in verdict.findings]
        places += {(layer.layer, layer.service): layer.span_id for layer in reversed(verdict.layers)}.values()
    for span_id in dict.fromkeys(places):
        node = known.get(span_id)
        if len(kept) >= limit:
            break
        if node is not None and (not only_path or _touches(reading, node)):
            for index in _ends(_lineage(node), 8):
                if len(kept) < limit:
                    kept.add(index)
    return kept


def _touches(reading: Reading, node: Node) -> bool:
    """On the refusal's path, or hanging directly from it."""
    return reading.on_chain(node) or (node.parent is not None and reading.on_chain(node.parent))


def _lineage(node: Node) -> list[Node]:
    return [*reversed(list(node.ancestors())), node]


def _ends(chain: Sequence[Node], limit: int) -> Iterable[int]:
    """Of a long chain its last and its first, the last before: when room is short, the middle is what goes."""
    half = limit // 2
    ends = list(chain) if len(chain) <= limit else [*chain[: limit - half], *chain[-half:]]
    return [node.index for node in reversed(ends)]


def _all_but_noise(reading: Reading, chosen: str) -> set[int]:
    """All of a small trace, except what frameworks record of themselves and the verdict does not speak of."""
    core = _core(reading, chosen, _CORE)
    return {node.index for node in reading.trace.nodes if node.index in core or not _is_noise(node)}


def _overview(reading: Reading, chosen: str) -> set[int]:
    """The core of a large trace, then the rest level by level; of sisters with one name the first few."""
    kept = _core(reading, chosen, _CORE)
    queue = deque(reading.trace.roots[:_CHOSEN])
    while queue and len(kept) < _CHOSEN:
        node = queue.popleft()
        kept.add(node.index)
        seen: Counter[tuple[str, str]] = Counter()
        for child in node.children:
            name = (child.service, child.span.name)
            seen[name] += 1
            if seen[name] <= _SAME and len(queue) < _CHOSEN and not _is_noise(child):
                queue.append(child)
    return kept


def _is_noise(node: Node) -> bool:
    """What a framework records of itself: each message that ASGI receives or sends, the empty first steps of Express."""
    span = node.span
    if node.children or span.kind is not SpanKind.INTERNAL:
        return False
    if "asgi.event.type" in span.attributes or span.name.endswith((" http send", " http receive")):
        return True
    return span.attributes.get("express.type") == "middleware" and span.attributes.get("express.name") in _EMPTY_STEPS


_EMPTY_STEPS = ("query", "expressInit")
