"""One clock for lanes, waterfall and effects: instants to positions in percent.

Positions are percent of the picture's width, so that text never scales with it and no style attribute is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.times import MICROSECOND, format_duration
from app.traces.model import Node, Trace

# Beyond this many times the entry's own duration, late work (a consumer minutes afterwards) would squash the request itself
# to nothing; the axis then keeps to the request and says what lies outside.
_TOO_LONG = 20
_FEWEST_TICKS = 4


@dataclass(frozen=True)
class Tick:
    x: float
    label: str
    anchor: str  # start, middle or end of the text stands at x


@dataclass(frozen=True)
class Bar:
    """Where a stretch of time is drawn. `outside` says in words how far it lies beyond the axis, "" where it does not."""

    x: float
    width: float
    outside: str = ""


@dataclass(frozen=True)
class Axis:
    """A window of time. Units: Unix nanoseconds, skew-corrected."""

    start_ns: int
    end_ns: int
    outside: int  # spans that lie wholly outside

    @property
    def length_ns(self) -> int:
        return max(1, self.end_ns - self.start_ns)

    def x(self, ns: int) -> float:
        """Percent of the width, held within the picture."""
        return round(min(100.0, max(0.0, (ns - self.start_ns) * 100 / self.length_ns)), 2)

    def bar(self, start_ns: int, end_ns: int) -> Bar:
        left, right = self.x(start_ns), self.x(end_ns)
        if start_ns > self.end_ns:
            return Bar(99.4, 0.6, f"starts {format_duration(start_ns - self.end_ns)} later")
        if end_ns < self.start_ns:
            return Bar(0.0, 0.6, f"ends {format_duration(self.start_ns - end_ns)} earlier")
        # A bar too thin to see is drawn at the least visible width, within the picture.
        width = max(0.3, right - left)
        return Bar(min(left, 100 - width), round(width, 2))

    def ticks(self) -> tuple[Tick, ...]:
        """Round times at least a tenth of the width apart, and the axis' end."""
        step = _round_step(self.length_ns // _FEWEST_TICKS)
        ticks = [Tick(0.0, "0 ms", "start")]
        at = step
        while at * 100 / self.length_ns < 88:
            ticks.append(Tick(self.x(self.start_ns + at), _tick_label(at), "middle"))
            at += step
        return (*ticks, Tick(100.0, format_duration(self.length_ns), "end"))

    @classmethod
    def of(cls, trace: Trace) -> Axis:
        """The whole trace, or the request alone where the rest is out of all proportion."""
        credible = [n for n in trace.nodes if n.span.start_ns > 0] or trace.nodes
        if not credible:
            return cls(0, 1, 0)
        start, end = min(n.start_ns for n in credible), max(n.end_ns for n in credible)
        entry = _entry(trace)
        if entry is not None and 0 < entry.duration_ns < (end - start) / _TOO_LONG:
            start, end = entry.start_ns, entry.end_ns
        outside = sum(1 for n in trace.nodes if n.start_ns > end or n.end_ns < start)
        return cls(start, max(end, start + MICROSECOND), outside)


def _entry(trace: Trace) -> Node | None:
    return next((root for root in trace.roots if root.span.start_ns > 0), None)


def _round_step(ns: int) -> int:
    """The nearest of 1, 2 or 5 times a power of ten that is not below `ns`."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if factor * power >= ns:
                return factor * power
        power *= 10


def _tick_label(ns: int) -> str:
    """`25 ms` rather than `25.0 ms`: ticks are round numbers."""
    return format_duration(ns).replace(".0 ", " ")
