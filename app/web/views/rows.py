"""Spans, gaps and folds as rows of the waterfall."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.analysis.secrets import redact
from app.analysis.verdict import Decision, EffectKind
from app.times import format_duration
from app.traces import semconv
from app.traces.model import Node, Span
from app.web import words
from app.web.views import naming
from app.web.views.asked import Asked
from app.web.views.axis import Axis
from app.web.views.reading import Reading

_GAPS = 12  # gap rows of one page; the findings count the rest
_DEEPEST = 12  # indentation steps
_BARS = {Decision.ALLOW: "allow", Decision.DENY: "deny", Decision.ERROR: "error", Decision.UNKNOWN: "open"}
_TELLING = (Decision.DENY, Decision.ERROR, Decision.UNKNOWN)  # what must not be overlooked
_CHIPS = {"deny": Decision.DENY, "error": Decision.ERROR, "allow": Decision.ALLOW}
_RELAYS = {"deny": "relay", "open": "openrelay", "error": "errorrelay"}


@dataclass(frozen=True)
class Row:
    """One line. kind: `span`, `gap` (something missing) or `fold` (something left out): absences are rows too.

    index:     the span's place in the causal order; of a fold, that of its first
    decides:   the span to look at: the verdict rests on it, or hangs on it
    says:      what the span did, at the right edge of the name column; a `decision` is a chip there
    tone:      the colour of `says`, or of a gap that the verdict hangs on
    bar:       plain, allow, deny, error, open, relay, openrelay, errorrelay, effect, audit, gap or fold
    x, width:  percent of the time column
    label:     the duration
    href:      this page with the span chosen; of a fold, the list from its first span on
    stop:      the keys n and p stop here
    """

    kind: str
    index: int
    depth: int
    service: str
    name: str
    x: float
    width: float
    bar: str
    span_id: str = ""
    detail: str = ""
    status: str = ""
    decision: Decision | None = None
    decides: bool = False
    says: str = ""
    is_effect: bool = False
    tone: str = ""
    label: str = ""
    href: str = ""
    chosen: bool = False
    match: bool = False
    stop: bool = False
    count: int = 1

    @property
    def label_place(self) -> str:
        """`in` a bar that is long enough, else `right` of it, or `left` where it ends at the edge."""
        if self.width > 50:
            return "in"
        return "left" if self.x + self.width > 86 else "right"


class Rows:
    """Makes rows, for one reading, axis and address."""

    def __init__(self, reading: Reading, axis: Axis, asked: Asked, matches: frozenset[int] = frozenset()) -> None:
        self.reading = reading
        self.axis = axis
        self.asked = asked
        self.matches = matches
        by_id = reading.trace.by_id
        self.chosen = by_id.get(asked.span) or by_id.get(reading.focus)
        self._gaps_left = _GAPS

    def between(self, kept: Iterable[int]) -> Iterator[Row]:
        """The kept spans in causal order, with one fold for each stretch between them."""
        end = len(self.reading.trace)
        expected = 0
        for index in [*sorted(kept), end]:
            # A single span folded into a row would hide it and save none; under a filter it is hidden because asked for.
            if index - expected == 1 and not self.asked.is_filtered:
                yield from self.listed((expected,))
            elif index > expected:
                yield self.fold(expected, index)
            if index < end:
                yield from self.listed((index,))
            expected = index + 1

    def listed(self, indexes: Iterable[int]) -> Iterator[Row]:
        """Spans as rows, each with the gap rows that belong to it."""
        reading = self.reading
        for index in indexes:
            node = reading.trace.nodes[index]
            if node.lost_parent and self._has_room_for_a_gap():
                yield self._orphaned(node)
            yield self._span(node)
            if reading.gap(node) is not None and self._has_room_for_a_gap():
                yield self._gap(node)

    def fold(self, start: int, end: int) -> Row:
        """One row for the hidden spans of a stretch: how many, of what, and the worst decision among them."""
        hidden = self.reading.once(("stretch", start, end), lambda: _Stretch.of(self.reading, start, end))
        bar = self.axis.bar(hidden.start_ns, hidden.end_ns)
        hits = sum(start <= index < end for index in self.matches)
        spans = f"{hidden.count:,} {'span' if hidden.count == 1 else 'spans'} folded: {hidden.names}"
        return Row(
            kind="fold",
            index=start,
            depth=_indent(hidden.depth),
            service=hidden.services,
            name=f"{spans}; {hits:,} of them match" if hits else spans,
            x=bar.x,
            width=bar.width,
            bar="fold",
            decision=hidden.decision,
            href=self.asked.href(start=start, show="", service="", find="") + "#spans",
            count=hidden.count,
        )

    def _span(self, node: Node) -> Row:
        span, bar = node.span, self.axis.bar(node.start_ns, node.end_ns)
        saying = self._saying(node)
        return Row(
            kind="span",
            index=node.index,
            depth=_indent(node.depth),
            service=node.service,
            name=naming.name(span),
            x=bar.x,
            width=bar.width,
            bar=saying.bar,
            span_id=span.span_id,
            detail=naming.detail(span),
            status=status(span),
            decision=saying.decision,
            decides=saying.decides,
            says=saying.text,
            is_effect=saying.is_effect,
            tone=saying.tone,
            label=bar.outside or format_duration(node.duration_ns),
            href=self.asked.href(span=span.span_id) + "#span",
            chosen=node is self.chosen,
            match=node.index in self.matches,
            stop=saying.decides or saying.decision in _TELLING,
        )

    def _saying(self, node: Node) -> _Saying:
        """What the span did, by rank: it decided, it passed a refusal on, it stated a decision, it changed something."""
        reading = self.reading
        decision = reading.decision_of(node)
        if reading.is_deciding(node):
            chip = decision if decision is not None else _CHIPS.get(reading.tone)
            return _Saying(reading.tone or "plain", decision=chip, decides=True)
        answer = reading.answer(node)
        if answer:
            return _Saying(_RELAYS.get(reading.tone, "plain"), text=answer, tone=reading.tone)
        if decision is not None:
            bar = _BARS.get(decision, "plain")
            if reading.tone == "open" and node.span.span_id == reading.focus:
                return _Saying(bar, decision=decision, decides=True)
            # Filled red is kept for the span to look at; another denial is tinted as a relay is.
            return _Saying("relay" if bar == "deny" else bar, decision=decision)
        effect = reading.effect(node)
        if effect is not None:
            bar = "audit" if effect.kind is EffectKind.AUDIT else "effect"
            return _Saying(bar, text=reading.effect_words(effect, node), is_effect=True)
        return _Saying("plain")

    def _gap(self, node: Node) -> Row:
        gap = self.reading.gap(node)
        assert gap is not None
        bar = self.axis.bar(node.start_ns, node.end_ns)
        tone = "open" if gap.on_path else ""
        return Row("gap", node.index, _indent(node.depth + 1), gap.peer, gap.sentence, bar.x, bar.width, "gap", tone=tone,
                   stop=gap.on_path)  # fmt: skip

    def _orphaned(self, node: Node) -> Row:
        bar = self.axis.bar(node.start_ns, node.end_ns)
        tone = "open" if self.reading.tone == "open" and self.reading.on_chain(node) else ""
        sentence = "The parent of the next span is not in the trace"
        return Row("gap", node.index, _indent(node.depth), "", sentence, bar.x, bar.width, "gap", tone=tone)

    def _has_room_for_a_gap(self) -> bool:
        self._gaps_left -= 1
        return self._gaps_left >= 0


@dataclass(frozen=True)
class _Stretch:
    """What a fold says of the spans it stands for. decision: the worst among them, None where none must be seen."""

    count: int
    depth: int
    services: str
    names: str
    start_ns: int
    end_ns: int
    decision: Decision | None

    @classmethod
    def of(cls, reading: Reading, start: int, end: int) -> _Stretch:
        nodes = reading.trace.nodes[start:end]
        services = {node.span.resource.service for node in nodes}
        worst = words.worst([said for node in nodes if (said := reading.decision_of(node)) is not None])
        return cls(
            count=len(nodes),
            depth=min(node.depth for node in nodes),
            services=nodes[0].service if len(services) == 1 else f"{len(services)} services",
            names=_most_frequent(nodes),
            start_ns=min(node.start_ns for node in nodes),
            end_ns=max(node.end_ns for node in nodes),
            decision=worst if worst in _TELLING else None,
        )


@dataclass(frozen=True)
class _Saying:
    bar: str
    text: str = ""
    tone: str = ""
    decision: Decision | None = None
    decides: bool = False
    is_effect: bool = False


def status(span: Span) -> str:
    """The answer a span gave or got: `403`, `gRPC 7`, or ""."""
    http = semconv.http_status(span)
    if http is not None:
        return str(http)
    grpc = semconv.grpc_status(span)
    return "" if grpc is None else f"gRPC {grpc}"


def _indent(depth: int) -> int:
    return min(depth, _DEEPEST)


def _short_name(name: str) -> str:
    """ASGI's `POST /orders http send` is `http send` among its like."""
    return next((step for step in ("http send", "http receive") if name.endswith(f" {step}")), name)


def _most_frequent(nodes: list[Node]) -> str:
    """`export row (592), SELECT (592), 3 other names`"""
    names: Counter[str] = Counter()
    for name, number in Counter(node.span.name for node in nodes).items():
        names[_short_name(name[:60])] += number
    common = names.most_common(3)
    shown = [f"{redact(name)} ({count:,})" if count > 1 else redact(name) for name, count in common]
    rest = len(names) - len(common)
    return ", ".join(shown) + (f", {rest:,} other {'name' if rest == 1 else 'names'}" if rest else "")
