"""The time an overview speaks of, how finely it is cut, and the times it is held against. Pure."""

from __future__ import annotations

from app.investigation import asking
from app.investigation.asking import Window
from app.times import DAY, HOUR, MINUTE, SECOND, UnixNanos

LASTS: dict[str, int] = {"15m": 15 * MINUTE, "1h": HOUR, "6h": 6 * HOUR, "24h": DAY}
DEFAULT = "1h"
# The same hours of another day: the night is no measure for the morning. The first that was measured often enough is taken.
BASELINES: tuple[tuple[str, int], ...] = (("a week before", 7 * DAY), ("the day before", DAY))

_STEPS = tuple(n * MINUTE for n in (1, 2, 5, 10, 15, 30, 60, 120, 360, 720, 1440, 10_080))
_MOST_POINTS = 50
_GRID = 10 * SECOND


def window(last: str, start: str, end: str, now_ns: UnixNanos) -> Window:
    """The window asked for. Up to "now" means up to a round moment, so that all who look within it share the answers.

    Errors: InvalidInput names the field.
    """
    return asking.window(last, start, end, UnixNanos(now_ns - now_ns % _GRID), lasts=LASTS, default=DEFAULT)


def step_ns(of: Window) -> int:
    """How much one point of a curve stands for: a minute or more, as a scrape may take half of one."""
    length = of.end_ns - of.start_ns
    return next((step for step in _STEPS if length <= step * _MOST_POINTS), _STEPS[-1])


def shifted(of: Window, by_ns: int) -> Window:
    """The same stretch of time, earlier."""
    return Window(UnixNanos(of.start_ns - by_ns), UnixNanos(of.end_ns - by_ns))


def cut(of: Window, longest_ns: int) -> tuple[Window, ...]:
    """The window in pieces of at most that length, without a gap."""
    starts = range(of.start_ns, of.end_ns, longest_ns)
    return tuple(Window(UnixNanos(start), UnixNanos(min(start + longest_ns, of.end_ns))) for start in starts)
