"""The picture above a case's timeline: a lane per layer, time from left to right.

However long the timeline, the picture costs the same: many events arrive counted in slices, and only those that were
chosen (or all, where they are few) become signs. Positions are percent of the width; lanes are 30 pixels high.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from app.analysis.verdict import Layer, Outcome
from app.cases.alerts import AlertSnapshot
from app.cases.store import Bucket
from app.cases.timeline import Event, Kind
from app.sources.values import AlertState
from app.times import DAY, HOUR, MILLISECOND, MINUTE, SECOND
from app.web import formats, words

# Kinds that have a place in the picture. Notes and captures happen long afterwards and would squash the rest to a line.
DRAWN = (Kind.ALERT, Kind.DECISION, Kind.EFFECT, Kind.ENTERED)
SLOTS = 96
FEW = 24  # up to so many events each has a sign of its own

_LANE = 30
_STEPS = [
    *(factor * MILLISECOND for factor in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    *(factor * SECOND for factor in (1, 2, 5, 10, 30)),
    *(factor * MINUTE for factor in (1, 2, 5, 10, 30)),
    *(factor * HOUR for factor in (1, 3, 6, 12)),
    *(factor * DAY for factor in (1, 2, 7, 14, 30, 90, 365, 3650, 36500)),
]

# The worst first: which of the outcomes in one slice gives it its colour.
_WORST = (Outcome.BYPASSED, Outcome.ERROR, Outcome.INCONCLUSIVE, Outcome.DENIED, Outcome.PARTIALLY_DENIED,
          Outcome.NO_AUTH_EVIDENCE, Outcome.ALLOWED)  # fmt: skip
_FILL = {
    Outcome.BYPASSED: "f-deny",
    Outcome.DENIED: "f-mass",
    Outcome.PARTIALLY_DENIED: "f-mass",
    Outcome.ERROR: "f-error",
    Outcome.INCONCLUSIVE: "f-open",
    Outcome.ALLOWED: "f-allow",
    Outcome.NO_AUTH_EVIDENCE: "f-mute",
}
SIGN = {
    Outcome.ALLOWED: ("allow", "g-allow"),
    Outcome.DENIED: ("deny", "g-deny"),
    Outcome.PARTIALLY_DENIED: ("deny", "g-partial"),
    Outcome.BYPASSED: ("bypass", "g-bypass"),
    Outcome.ERROR: ("warning", "g-error"),
    Outcome.INCONCLUSIVE: ("open", "g-unknown"),
    Outcome.NO_AUTH_EVIDENCE: ("mute", "g-none"),
}


@dataclass(frozen=True)
class Block:
    """Events of one lane in one slice, or a stretch in which an alert fired. `fill` is the class of its colour."""

    x: float
    width: float
    y: float
    height: int
    fill: str


@dataclass(frozen=True)
class Mark:
    """One event as a sign. `kind` is the tone of css `.swim__mark`, `symbol` the id in the sprite."""

    x: float
    y: int
    kind: str
    symbol: str
    title: str


@dataclass(frozen=True)
class Tick:
    x: float
    label: str
    anchor: str


@dataclass(frozen=True)
class Picture:
    """lanes: names from top to bottom. label: what the picture shows, in words, for those who do not see it."""

    lanes: tuple[str, ...]
    height: int
    blocks: tuple[Block, ...]
    marks: tuple[Mark, ...]
    ticks: tuple[Tick, ...]
    label: str


@dataclass(frozen=True)
class Window:
    """The stretch of time drawn, and the slices it is counted in."""

    start_ns: int
    end_ns: int

    @classmethod
    def around(cls, first_ns: int, last_ns: int) -> Window:
        """A little wider than the events, and never a single instant."""
        room = max((last_ns - first_ns) // 40, SECOND)
        return cls(first_ns - room, last_ns + room)

    @property
    def slot_ns(self) -> int:
        return max(1, -(-(self.end_ns - self.start_ns) // SLOTS))

    def x(self, ns: int) -> float:
        return round(min(100.0, max(0.0, (ns - self.start_ns) * 100 / (self.end_ns - self.start_ns))), 2)


def draw(
    window: Window, *, buckets: Sequence[Bucket], alerts: Sequence[AlertSnapshot], chosen: Sequence[Event], total: int
) -> Picture:
    """The picture of a timeline.

    buckets: events of DRAWN kinds, counted in slices of `window.slot_ns` from its start.
    chosen:  the events to show as signs; those that are not drawn kinds are left out.
    """
    events = [event for event in chosen if event.kind in DRAWN]
    lanes = _lanes(buckets, alerts, events)
    row = {name: index for index, name in enumerate(lanes)}
    blocks = _firing(window, alerts, row)
    if total > FEW:
        blocks += _blocks(window, buckets, events, row)
    marks = [_mark(window, event, row) for event in events]
    return Picture(
        lanes=lanes,
        height=len(lanes) * _LANE + 26,
        blocks=tuple(blocks),
        marks=tuple(marks),
        ticks=_ticks(window),
        label=_label(window, buckets),
    )


def sign(event: Event) -> tuple[str, str]:
    """Tone and symbol of an event, in the picture and beside its row."""
    if event.outcome is not None:
        return SIGN[event.outcome]
    if event.kind is Kind.ALERT:
        level = event.severity if event.severity in ("critical", "warning") else "info"
        return level, f"g-sev-{level}"
    return {
        Kind.EFFECT: ("effect", "g-effect"),
        Kind.NOTE: ("note", "i-note"),
        Kind.EVIDENCE: ("note", "i-seal"),
        Kind.ENTERED: ("note", "i-flag"),
    }.get(event.kind, ("note", "i-clock"))


def _lane(kind: Kind, layer: Layer | None) -> str:
    if kind is Kind.ALERT:
        return "Alerts"
    if kind is Kind.EFFECT:
        return "What changed"
    if kind is Kind.ENTERED:
        return "Entered by hand"
    return words.layer(layer) or "Requests"


def _lanes(buckets: Sequence[Bucket], alerts: Sequence[AlertSnapshot], events: Sequence[Event]) -> tuple[str, ...]:
    found = {_lane(bucket.kind, bucket.layer) for bucket in buckets} | {_lane(event.kind, event.layer) for event in events}
    order = ["Alerts", *(words.layer(layer) for layer in Layer), "Requests", "What changed", "Entered by hand"]
    return tuple(name for name in order if name in found or (name == "Alerts" and alerts))


def _firing(window: Window, alerts: Sequence[AlertSnapshot], row: dict[str, int]) -> list[Block]:
    """Stretches in which alerts fired, as thin bars that share the lane."""
    blocks = []
    for index, alert in enumerate(alerts[:200]):
        fill = "f-deny-2" if alert.severity == "critical" else "fire-2"
        y = row["Alerts"] * _LANE + 8 + index % 2 * 8
        for stretch in alert.intervals:
            if stretch.state is not AlertState.FIRING:
                continue
            left, right = window.x(stretch.start_ns), window.x(stretch.end_ns or alert.read_ns)
            blocks.append(Block(left, round(max(right - left, 0.3), 2), y, 5, fill))
    return blocks


def _blocks(window: Window, buckets: Sequence[Bucket], events: Sequence[Event], row: dict[str, int]) -> list[Block]:
    """One block a slice and lane, in the colour of the worst in it; none where all of it has signs of its own."""
    worst: dict[tuple[int, str], str] = {}
    signed = Counter(
        ((event.occurred_ns - window.start_ns) // window.slot_ns, _lane(event.kind, event.layer)) for event in events
    )
    counted: Counter[tuple[int, str]] = Counter()
    for bucket in buckets:
        counted[bucket.slot, _lane(bucket.kind, bucket.layer)] += bucket.count
    ordered = sorted(buckets, key=lambda bucket: _WORST.index(bucket.outcome) if bucket.outcome else len(_WORST))
    for bucket in ordered:
        if bucket.kind is Kind.ALERT:
            continue
        fill = _FILL[bucket.outcome] if bucket.outcome else "f-ink"
        worst.setdefault((bucket.slot, _lane(bucket.kind, bucket.layer)), fill)
    width = round(100 / SLOTS * 0.85, 2)
    return [
        Block(window.x(window.start_ns + slot * window.slot_ns), width, row[lane] * _LANE + 9, 12, fill)
        for (slot, lane), fill in sorted(worst.items())
        if counted[slot, lane] > signed[slot, lane]
    ]


def _mark(window: Window, event: Event, row: dict[str, int]) -> Mark:
    kind, symbol = sign(event)
    y = row[_lane(event.kind, event.layer)] * _LANE + 15
    title = f"{formats.clock(event.occurred_ns)} {formats.flat(event.title, 160)}"
    return Mark(window.x(event.occurred_ns), y, kind, symbol, title)


_DAYS_ROOM = 17  # percent of a narrow picture that a tick with its day takes up


def _ticks(window: Window) -> tuple[Tick, ...]:
    """Up to eight round times in UTC; the first carries its day."""
    length = window.end_ns - window.start_ns
    step = next((step for step in _STEPS if length / step <= 8), _STEPS[-1])
    at = -(-window.start_ns // step) * step
    ticks: list[Tick] = []
    while at <= window.end_ns:
        x = window.x(at)
        anchor = "start" if x < 4 else "end" if x > 96 else "middle"
        ticks.append(Tick(x, _tick_words(at, step, first=not ticks), anchor))
        at += step
    if len(ticks) > 1 and len(ticks[0].label) > len(ticks[1].label) and ticks[1].x - ticks[0].x < _DAYS_ROOM:
        del ticks[1]
    return tuple(ticks)


def _tick_words(ns: int, step: int, *, first: bool) -> str:
    if step >= 90 * DAY:
        return f"{formats.day(ns)} {formats.full_time(ns)[:4]}"
    if step >= DAY:
        return formats.day(ns)
    digits = 3 if step < SECOND else 0
    clock = formats.clock(ns, digits) if step < MINUTE else formats.clock(ns)[:5]
    return f"{formats.day(ns)}, {clock}" if first else clock


def _label(window: Window, buckets: Sequence[Bucket]) -> str:
    counts: dict[str, int] = {}
    for bucket in buckets:
        if bucket.kind is Kind.DECISION and bucket.outcome:
            word = words.OUTCOME[bucket.outcome].lower()
        else:
            word = {Kind.ALERT: "changes of alerts", Kind.EFFECT: "side effects"}.get(bucket.kind, "entered by hand")
        counts[word] = counts.get(word, 0) + bucket.count
    said = ", ".join(f"{count:,} {word}" for word, count in sorted(counts.items(), key=lambda item: -item[1]))
    return f"Timeline from {formats.moment(window.start_ns)} to {formats.moment(window.end_ns)} UTC: {said or 'nothing yet'}."
