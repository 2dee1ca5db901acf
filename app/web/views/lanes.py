"""Lanes: one row per layer and service met, on the waterfall's clock, with the request's thread running through them.

    Identity provider  identity       Allow        ┌──●
    API gateway        edge-gateway   Allow   ─────┘  └──●─┐           ┌╌╌╌
    Application        orders         Allow                └─●─┐    ┌╌╌┘
    Policy engine      policy         Deny                     └────●

The thread goes out in ink and comes back dashed. The picture is also the map of the waterfall below it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from app.analysis.verdict import Decision, EffectKind, Layer, LayerDecision, Outcome
from app.times import format_duration
from app.traces import semconv
from app.traces.model import Node, SpanKind
from app.web import words
from app.web.views import naming
from app.web.views.axis import Axis
from app.web.views.hops import Hops
from app.web.views.reading import Reading

HEIGHT = 30  # px of one lane
_LANES = 9
_BARS = 24  # bars of one lane; closer ones run together
_MARKS = 10  # decisions marked in the picture, the loudest first
_EFFECTS = 8
_TURNS = 40  # corners of the thread
_NAMED = 500  # database calls whose database is looked up for the lane's name
_NEAR = 0.6  # percent: bars closer than this are drawn as one


@dataclass(frozen=True)
class LaneBar:
    x: float
    width: float
    kind: str  # "", deny, error, open, effect, gap


@dataclass(frozen=True)
class Lane:
    """A row. `decision` is the loudest of it, None where it only carried the request."""

    layer: str
    service: str
    decision: Decision | None
    bars: tuple[LaneBar, ...]


@dataclass(frozen=True)
class Stroke:
    """A straight piece of the thread. way: out or back. tone: of a way back, the colour of what came back; "" for an answer."""

    x1: float
    y1: int
    x2: float
    y2: int
    way: str
    tone: str = ""


@dataclass(frozen=True)
class Mark:
    """A sign on a lane: a decision, or a side effect (`decision` None).

    label: a word beside it, "" for none; it begins at `label_x`, or ends there where it stands to the left
    """

    x: float
    y: int
    decision: Decision | None
    label: str = ""
    label_x: float = 0.0
    label_left: bool = False


@dataclass(frozen=True)
class LanesView:
    """tells: the picture in a sentence, for those who do not see it. more: lanes left out."""

    lanes: tuple[Lane, ...]
    strokes: tuple[Stroke, ...]
    marks: tuple[Mark, ...]
    tells: str
    more: int

    @property
    def height(self) -> int:
        return len(self.lanes) * HEIGHT


@dataclass
class _Draft:
    layer: Layer | None
    service: str
    first_ns: int
    decisions: list[LayerDecision] = field(default_factory=list)
    bars: list[tuple[int, int, str]] = field(default_factory=list)
    also: set[str] = field(default_factory=set)


def lanes(reading: Reading, hops: Hops, axis: Axis) -> LanesView:
    """The lanes of a trace."""
    return _Lanes(reading, hops, axis).view()


class _Lanes:
    def __init__(self, reading: Reading, hops: Hops, axis: Axis) -> None:
        self.reading = reading
        self.hops = hops
        self.axis = axis
        self.drafts: dict[tuple[Layer | None, str], _Draft] = {}
        self.lane_of: dict[int, tuple[Layer | None, str]] = {}  # of spans with a place in the picture, by index
        self.decided_in: tuple[Layer | None, str] | None = None
        self._collect()
        in_order = sorted(self.drafts, key=lambda key: (_is_store(key[0]), self.drafts[key].first_ns))
        self.kept = self._loudest(in_order)
        self.row = {key: row for row, key in enumerate(self.kept)}

    def view(self) -> LanesView:
        return LanesView(
            lanes=tuple(self._lane(self.drafts[key]) for key in self.kept),
            strokes=tuple(self._thread()) if self.reading.tone else (),
            marks=tuple(self._marks()),
            tells=self._tells(),
            more=len(self.drafts) - len(self.kept),
        )

    # ------------------------------------------------------------------------------------------------- what is drawn

    def _collect(self) -> None:
        reading, by_id = self.reading, self.reading.trace.by_id
        layer_of: dict[str, Layer] = {}
        for layer in reading.verdict.layers:
            if not layer.target:
                layer_of.setdefault(self.hops.decider(layer), layer.layer)
        for node in self.hops.all:
            self._add(node, layer_of.get(node.service), node.service, "")
        for layer in reading.verdict.layers:
            stated = by_id.get(layer.span_id)
            if stated is None:
                continue
            # A decider without spans is drawn where it was called.
            drawn = (self.hops.call(layer) if self.hops.apart(layer) else None) or stated
            draft = self._add(drawn, layer.layer, self.hops.decider(layer), self._kind(layer, stated))
            if layer.span_id not in reading.echoes:
                draft.decisions.append(layer)
            if layer is reading.deciding():
                self.decided_in = (layer.layer, "" if _is_store(layer.layer) else self.hops.decider(layer))
        for effect in reading.verdict.side_effects:
            found = by_id.get(effect.span_id)
            if found is not None and found.index not in self.lane_of:
                self._add(found, *_store_of(found, effect.kind, effect.target), "effect")
        for span_id, gap in reading.gaps.items():
            found = by_id[span_id]
            if found.index not in self.lane_of:
                self._add(
                    found, Layer.EXTERNAL_SERVICE, gap.peer or naming.called(found.span), "open" if gap.on_path else "gap"
                )
        self._collect_reads()

    def _collect_reads(self) -> None:
        """Calls of a database that changed nothing: an export may make tens of thousands, so each costs next to nothing."""
        lane_of, draft = self.lane_of, self.drafts.get((Layer.DATABASE, ""))
        for node in self.reading.trace.nodes:
            span = node.span
            if span.kind is not SpanKind.CLIENT or node.index in lane_of or not semconv.db_system(span):
                continue
            if draft is None or len(draft.bars) < _NAMED:
                draft = self._add(node, *_store_of(node, EffectKind.DB_WRITE, ""), "")
            else:
                draft.bars.append((node.start_ns, node.end_ns, ""))

    def _add(self, node: Node, layer: Layer | None, name: str, kind: str) -> _Draft:
        key = (layer, "") if _is_store(layer) else (layer, name)
        draft = self.drafts.get(key)
        if draft is None:
            draft = self.drafts[key] = _Draft(layer, name, node.start_ns)
        draft.first_ns = min(draft.first_ns, node.start_ns)
        if len(draft.also) < 1000:
            draft.also.add(name)
        draft.bars.append((node.start_ns, node.end_ns, kind))
        # A decision taken in the hop's own entry span must not move the hop into another lane.
        self.lane_of.setdefault(node.index, key)
        return draft

    def _kind(self, layer: LayerDecision, node: Node) -> str:
        if self.reading.is_deciding(node):
            return {"deny": "deny", "error": "error"}.get(self.reading.tone, "")
        return "open" if layer.decision is Decision.UNKNOWN else ""

    def _loudest(self, keys: list[tuple[Layer | None, str]]) -> list[tuple[Layer | None, str]]:
        """At most `_LANES`: those of the main line and with decisions first, in the order met."""
        if len(keys) <= _LANES:
            return keys
        line = {self.lane_of[node.index] for node in self.hops.line if node.index in self.lane_of}
        if self.decided_in is not None:
            line.add(self.decided_in)
        ranked = sorted(keys, key=lambda key: (key not in line, not self.drafts[key].decisions))[:_LANES]
        return [key for key in keys if key in ranked]

    def _lane(self, draft: _Draft) -> Lane:
        worst = words.worst([layer.decision for layer in draft.decisions])
        others = len(draft.also - {draft.service})
        name = f"{draft.service}, {others} more" if others else draft.service
        return Lane(words.layer(draft.layer) or "Service", name, worst, tuple(self._bars(draft)))

    def _bars(self, draft: _Draft) -> Iterator[LaneBar]:
        """The lane's bars from left to right, those that touch run together; tinted ones stay apart and on top."""
        kinds: dict[str, list[tuple[int, int]]] = {"": [], "effect": [], "gap": [], "open": [], "error": [], "deny": []}
        for start, end, kind in draft.bars:
            kinds[kind].append((start, end))
        for kind, stretches in kinds.items():
            yield from self._merged(sorted(stretches), kind, _BARS if kind == "" else _BARS // 3)

    def _merged(self, stretches: list[tuple[int, int]], kind: str, most: int) -> Iterator[LaneBar]:
        near_ns = int(self.axis.length_ns * _NEAR / 100) if kind == "" else 0
        merged: list[tuple[int, int]] = []
        begin, until = stretches[0] if stretches else (0, 0)
        for start, end in stretches:
            if start > until + near_ns and len(merged) < most - 1:
                merged.append((begin, until))
                begin, until = start, end
            elif end > until:
                until = end
        if stretches:
            merged.append((begin, until))
        for begin, until in merged:
            bar = self.axis.bar(begin, until)
            yield LaneBar(bar.x, bar.width, kind)

    # ------------------------------------------------------------------------------------------------------ the thread

    def _thread(self) -> Iterator[Stroke]:
        """Out through the main line and the checks beside it to the deciding span; back through the line's hops."""
        way = list(self._stops())[:_TURNS]
        if not way:
            return
        at, row = way[0]
        for ns, next_row in way[1:]:
            yield from self._step(at, row, max(at, ns), next_row, "out")
            at, row = max(at, ns), next_row
        turn = self.reading.refused_ns
        end = max(at, turn if turn is not None else self._line_end())
        yield from self._step(at, row, end, row, "out")
        at = end
        tone = self.reading.tone if self.reading.verdict.outcome is not Outcome.BYPASSED else ""
        for hop in reversed(self.hops.line):
            hop_row = self._row(hop)
            if hop_row is None:
                continue
            if hop_row != row:
                yield from self._step(at, row, at, hop_row, "back", tone)
                row = hop_row
            tone = self._came_back(hop)
            if hop.end_ns > at:
                yield from self._step(at, row, hop.end_ns, row, "back", tone)
                at = hop.end_ns

    def _stops(self) -> Iterator[tuple[int, int]]:
        """(time, lane) of each change of lane, in time."""
        until = self.reading.refused_ns
        moves: list[tuple[int, int, int]] = []
        for depth, hop in enumerate(self.hops.line):
            row = self._row(hop)
            if row is not None:
                moves.append((hop.start_ns, depth, row))
        beside = []
        for span_id in self.reading.decisions:
            node = self.reading.trace.by_id.get(span_id)
            row = self._row(node) if node is not None else None
            if node is not None and row is not None and (until is None or node.end_ns <= until):
                beside.append((node, row))
        open_one = self.reading.focus if self.reading.tone == "open" else ""
        deciding = self.reading.trace.by_id.get(self.reading.verdict.span_id or open_one)
        line_rows = [row for _, _, row in moves]
        for node, row in sorted(beside, key=lambda pair: pair[0].start_ns)[:_MARKS]:
            asker = self.hops.near[node.index]
            home = self._row(asker) if asker is not None else None
            if row in line_rows or home is None or node is deciding:
                continue
            # A check beside the line: there and back to the hop that asked.
            asked_by = self._row_at(moves, node.start_ns)
            moves += [(node.start_ns, 99, row), (node.end_ns, 100, asked_by if asked_by is not None else home)]
        if deciding is not None:
            layer, decided = self.reading.deciding(), self.row.get(self.decided_in) if self.decided_in is not None else None
            met = self.hops.call(layer) if layer is not None and self.hops.apart(layer) else None
            row = decided if decided is not None else self._row(deciding)
            if row is not None:
                moves.append(((met or deciding).start_ns, 101, row))
        for ns, _, row in sorted(moves):
            yield ns, row

    def _row_at(self, moves: list[tuple[int, int, int]], ns: int) -> int | None:
        """The main line's lane at a moment."""
        before = [move for move in moves if move[1] < 99 and move[0] <= ns]
        return max(before)[2] if before else None

    def _line_end(self) -> int:
        """Where an unrefused thread turns: the end of the line's last hop, or of the call whose answer is missing."""
        focus = self.reading.trace.by_id.get(self.reading.focus)
        if self.reading.tone == "open" and focus is not None:
            return focus.end_ns
        return self.hops.line[-1].end_ns if self.hops.line else self.axis.end_ns

    def _came_back(self, hop: Node) -> str:
        """The colour of a hop's answer: the refusal's where it passed it on, none where it went on without it."""
        if self.reading.verdict.outcome in (Outcome.BYPASSED, Outcome.PARTIALLY_DENIED):
            return self.reading.tone if (semconv.http_status(hop.span) or 0) >= 400 else ""
        return self.reading.tone

    def _step(self, at: int, row: int, ns: int, next_row: int, way: str, tone: str = "") -> Iterator[Stroke]:
        x1, x2, y1, y2 = self.axis.x(at), self.axis.x(ns), _middle(row), _middle(next_row)
        if x1 != x2:
            yield Stroke(x1, y1, x2, y1, way, tone)
        if y1 != y2:
            yield Stroke(x2, y1, x2, y2, way, tone)

    def _row(self, node: Node) -> int | None:
        key = self.lane_of.get(node.index)
        return self.row.get(key) if key is not None else None

    # -------------------------------------------------------------------------------------------------------- the signs

    def _marks(self) -> Iterator[Mark]:
        by_id, order = self.reading.trace.by_id, words.DECISION_ORDER
        # The first of a lane's equal decisions stands for its like.
        stated: dict[tuple[object, ...], LayerDecision] = {}
        for layer in self.reading.decisions.values():
            if layer.decision in order[:4] and layer.span_id not in self.reading.echoes:
                own = layer.span_id if layer.span_id == self.reading.verdict.span_id else ""
                stated.setdefault((layer.layer, self.hops.decider(layer), layer.decision, own), layer)
        for layer in sorted(stated.values(), key=lambda layer: order.index(layer.decision))[:_MARKS]:
            node = by_id.get(layer.span_id)
            row = self.row.get((layer.layer, "" if _is_store(layer.layer) else self.hops.decider(layer)))
            if node is None or row is None:
                continue
            deciding = self.reading.is_deciding(node)
            label = self.reading.decided if deciding else "unknown" if layer.decision is Decision.UNKNOWN else ""
            x = self.axis.x(node.end_ns)
            yield Mark(x, _middle(row), layer.decision, label, x, label_left=x > 85)
        shown = [e for e in self.reading.verdict.side_effects if e.span_id in by_id][:_EFFECTS]
        for effect in shown:
            changed = by_id[effect.span_id]
            row = self._row(changed)
            if row is not None:
                bar = self.axis.bar(changed.start_ns, changed.end_ns)
                # Left of its bar, where there is room.
                left = bar.x > 20
                label_x = bar.x if left else bar.x + bar.width
                yield Mark(self.axis.x(changed.end_ns), _middle(row), None, effect.target[:24], label_x, label_left=left)

    def _tells(self) -> str:
        """The finding in words: the picture's label for those who cannot see it."""
        line = [node.service for node in self.hops.line]
        met = ", ".join(dict.fromkeys(line[:8])) or "no hop"
        sentence = f"The request passes {met}."
        if self.reading.refused_ns is not None and self.reading.decided:
            at = format_duration(self.reading.refused_ns - self.axis.start_ns)
            sentence += f" {self.reading.verdict.service or 'A hop'} {self.reading.decided} at {at}."
        elif self.reading.tone == "open":
            sentence += " Who refused it is not in the trace."
        return sentence


def _is_store(layer: Layer | None) -> bool:
    """Layers that share one lane, whatever their number, below the hops."""
    return layer in (Layer.DATABASE, Layer.MESSAGE_BROKER, Layer.EXTERNAL_SERVICE)


def _store_of(node: Node, kind: EffectKind, target: str) -> tuple[Layer, str]:
    span = node.span
    if semconv.db_system(span) or kind in (EffectKind.DB_WRITE, EffectKind.CACHE_WRITE, EffectKind.AUDIT):
        return Layer.DATABASE, naming.called(span) or semconv.db_namespace(span) or target or node.service
    if kind is EffectKind.MESSAGE:
        return Layer.MESSAGE_BROKER, semconv.destination(span) or target or node.service
    return Layer.EXTERNAL_SERVICE, naming.called(span) or target or node.service


def _middle(row: int) -> int:
    return row * HEIGHT + HEIGHT // 2
