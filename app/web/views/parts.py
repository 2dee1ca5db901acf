"""Parts that several pages show: what failed, where answers come from, a choice in a facet."""

from __future__ import annotations

import dataclasses

from app.errors import SourceError, SourceUnavailable
from app.times import UnixNanos


@dataclasses.dataclass(frozen=True)
class Failure:
    """What ui.failed shows.

    sentence:   what the source did
    still:      what on the page is true all the same
    since_ns:   since when it fails, where that is known
    retry_href: where to ask again; empty where asking again cannot help
    """

    sentence: str
    still: str = ""
    detail: str = ""
    since_ns: UnixNanos | None = None
    tries: int = 1
    retry_href: str = ""

    @classmethod
    def of(cls, error: SourceError, *, still: str = "", retry_href: str = "") -> Failure:
        return cls(
            sentence=error.sentence,
            still=still,
            detail=error.detail,
            retry_href=retry_href if isinstance(error, SourceUnavailable) else "",
        )


@dataclasses.dataclass(frozen=True)
class SourceState:
    """One entry of ui.sources.

    health: ok, failing or off
    words:  "12 s ago", "does not answer (15 s limit, since 02:51)", "is not set up"
    """

    name: str
    health: str
    words: str
    retry_href: str = ""


@dataclasses.dataclass(frozen=True)
class Choice:
    """One value of ui.facet. share: of the list, 0 to 1."""

    words: str
    count: int
    share: float
    href: str
    on: bool = False
