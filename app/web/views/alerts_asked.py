"""What the address of the list of alerts asks for, and addresses with one thing changed."""

from __future__ import annotations

import dataclasses
from urllib.parse import urlencode

from app.times import DAY, HOUR

# Each window by its name in the address: length, label, words.
WINDOWS = {
    "1h": (HOUR, "1 h", "the last hour"),
    "24h": (DAY, "24 h", "the last 24 hours"),
    "7d": (7 * DAY, "7 d", "the last 7 days"),
}
GROUPS = {"who": "Who", "rule": "Rule", "none": "Nothing"}
FACETS = ("severity", "state", "source", "service")


@dataclasses.dataclass(frozen=True)
class Asked:
    """What the address asks for. Values of one facet add up, facets narrow."""

    window: str = "24h"
    group: str = "who"
    q: str = ""
    severity: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    service: tuple[str, ...] = ()

    def of(self, facet: str) -> tuple[str, ...]:
        values: tuple[str, ...] = getattr(self, facet)
        return values

    def href(self, path: str = "/alerts", **changes: str) -> str:
        """The address with changes, what is usual left out."""
        asked = dataclasses.replace(self, **changes)  # type: ignore[arg-type]
        pairs = [(name, value) for name in FACETS for value in asked.of(name)]
        pairs += [("q", asked.q)] if asked.q else []
        pairs += [("window", asked.window)] if asked.window != "24h" else []
        pairs += [("group", asked.group)] if asked.group != "who" else []
        return f"{path}?{urlencode(pairs)}" if pairs else path

    def toggled(self, facet: str, value: str) -> str:
        values = self.of(facet)
        changed = tuple(v for v in values if v != value) if value in values else (*values, value)
        return dataclasses.replace(self, **{facet: changed}).href()  # type: ignore[arg-type]

    @property
    def filters(self) -> list[tuple[str, str, Asked]]:
        """Each filter that is on: facet, value, and the address without it."""
        found = [
            (facet, value, dataclasses.replace(self, **{facet: tuple(v for v in self.of(facet) if v != value)}))  # type: ignore[arg-type]
            for facet in FACETS
            for value in self.of(facet)
        ]
        return [*found, *([("text", self.q, dataclasses.replace(self, q=""))] if self.q else [])]
