"""What the address of a trace page asks for. The address alone restores the view: every control is a link to another one."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from urllib.parse import urlencode

# Parameters in the order in which an address shows them.
_NAMES = {"span": "span", "show": "show", "service": "service", "find": "find", "start": "from", "alert": "alert"}


@dataclass(frozen=True)
class Asked:
    """span:    the chosen span; "" lets the page choose
    show:    "path" keeps to the refusal's path
    service: only this service's spans
    find:    only spans that hold this text
    start:   the row of the complete list to begin at; None shows the overview
    alert:   the alert that led here, for the way back and the traces before and after
    base:    where the page lives, if not under its trace id: an uploaded trace has an address of its own
    """

    trace_id: str
    span: str = ""
    show: str = ""
    service: str = ""
    find: str = ""
    start: int | None = None
    alert: str = ""
    base: str = ""

    @property
    def is_filtered(self) -> bool:
        return bool(self.show or self.service or self.find)

    def href(self, **changes: object) -> str:
        """The address of the same page, asked differently: `asked.href(span="…")`."""
        other = dataclasses.replace(self, **changes)  # type: ignore[arg-type]
        return other.path + other.query

    @property
    def path(self) -> str:
        return self.base or f"/traces/{self.trace_id}"

    @property
    def query(self) -> str:
        pairs = [(name, getattr(self, field)) for field, name in _NAMES.items()]
        given = [(name, value) for name, value in pairs if value not in ("", None)]
        return "?" + urlencode(given) if given else ""

    def below(self, place: str) -> str:
        """A part of this trace: its rows, a span, its bytes; the alert goes along."""
        return f"{self.path}/{place}" + (f"?{urlencode({'alert': self.alert})}" if self.alert else "")
