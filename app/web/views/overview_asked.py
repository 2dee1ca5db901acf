"""What the address of the overview asks for. The address alone restores the view: every control is a link to another one."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from urllib.parse import urlencode

from app.investigation.asking import Window
from app.investigation.overview.service import Basis
from app.investigation.overview.window import DEFAULT, LASTS
from app.times import iso

LAST_WORDS = {"15m": "15 min", "1h": "1 h", "6h": "6 h", "24h": "24 h"}
REFRESHES = {"off": 0, "30s": 30, "1m": 60, "5m": 300}
REFRESH_WORDS = {"off": "Off", "30s": "30 s", "1m": "1 min", "5m": "5 min"}
NO_REFRESH = "off"


@dataclass(frozen=True)
class Asked:
    """last:       one of LASTS; "" where start and end say when
    start, end: instants as somebody wrote them, in UTC unless they say otherwise
    refresh:    one of REFRESHES
    source:     what the figures should rest on: "" for the best there is
    whole:      everything at once, instead of panel by panel
    """

    last: str = ""
    start: str = ""
    end: str = ""
    refresh: str = NO_REFRESH
    source: str = ""
    whole: str = ""

    @property
    def is_fixed(self) -> bool:
        """Whether it speaks of a time that does not move on."""
        return bool(self.start or self.end)

    @property
    def refresh_s(self) -> int:
        return 0 if self.end else REFRESHES.get(self.refresh, 0)

    def basis(self, there: tuple[Basis, ...]) -> Basis:
        """What the figures rest on: as asked for, else the best there is."""
        wanted = next((basis for basis in there if basis == self.source), None)
        return wanted or next(iter(there), Basis.METRICS)

    def href(self, path: str = "/overview", **changes: str) -> str:
        """The address of the same view, asked differently."""
        other = dataclasses.replace(self, **changes)
        pairs = {
            "last": other.last if other.last != DEFAULT and not other.is_fixed else "",
            "start": other.start, "end": other.end,
            "refresh": other.refresh if other.refresh != NO_REFRESH else "",
            "source": other.source, "whole": other.whole,
        }  # fmt: skip
        given = {name: value for name, value in pairs.items() if value}
        return path + (f"?{urlencode(given)}" if given else "")

    def ranges(self) -> tuple[tuple[str, str, bool], ...]:
        chosen = "" if self.is_fixed else self.last or DEFAULT
        return tuple((LAST_WORDS[last], self.href(last=last, start="", end=""), last == chosen) for last in LASTS)

    def refreshes(self) -> tuple[tuple[str, str, bool], ...]:
        chosen = self.refresh if self.refresh in REFRESHES else NO_REFRESH
        return tuple((REFRESH_WORDS[one], self.href(refresh=one), one == chosen) for one in REFRESHES)

    def bases(self, there: tuple[Basis, ...]) -> tuple[tuple[str, str, bool], ...]:
        """The choice where there is one."""
        chosen = self.basis(there)
        words = {Basis.METRICS: "Metrics", Basis.TRACES: "Traces"}
        return tuple((words[one], self.href(source=one.value), one is chosen) for one in there) if len(there) > 1 else ()


def search_href(window: Window, **fields: str) -> str:
    """The search for what a figure counts, in the figure's own time."""
    given = {name: value for name, value in fields.items() if value}
    return f"/search?{urlencode({**given, 'start': iso(window.start_ns, digits=0), 'end': iso(window.end_ns, digits=0)})}"
