"""Where a trace stands in the list that led to it: so that one page leads to the next without going back."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from cachetools import TTLCache

_KEEP_S = 3_600.0
_MOST_TRACES = 200_000  # of all lists together


class Place(msgspec.Struct, frozen=True):
    """One trace's place in its list; ids of its neighbours, "" at the ends."""

    title: str
    number: int
    total: int
    before: str
    after: str


class Walks:
    """The lists as last shown, by what they were behind. In memory: without one, a page has no neighbours and says nothing."""

    def __init__(self) -> None:
        self._lists: TTLCache[str, tuple[str, tuple[str, ...]]] = TTLCache(
            _MOST_TRACES, _KEEP_S, getsizeof=lambda kept: 1 + len(kept[1])
        )

    def shown(self, key: str, title: str, trace_ids: Sequence[str]) -> None:
        if len(trace_ids) < _MOST_TRACES // 10:
            self._lists[key] = (title, tuple(trace_ids))

    def place(self, key: str, trace_id: str) -> Place | None:
        title, listed = self._lists.get(key, ("", ()))
        if trace_id not in listed:
            return None
        at = listed.index(trace_id)
        return Place(
            title=title,
            number=at + 1,
            total=len(listed),
            before=listed[at - 1] if at else "",
            after=listed[at + 1] if at + 1 < len(listed) else "",
        )
