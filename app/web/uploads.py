"""Traces that people uploaded: in memory, for a while, each for the one who sent it. Never stored."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass

from app.errors import NotFound
from app.investigation.opened import Opened


@dataclass(frozen=True)
class Origin:
    """Where an upload was taken from, for the page that shows it: `evidence E1 of CASE-0001`, and its address."""

    words: str
    href: str


class Uploads:
    """keep_s: how long an upload can be looked at. most_spans, most: kept at once; the oldest go first."""

    def __init__(self, *, keep_s: float = 900, most_spans: int = 300_000, most: int = 50) -> None:
        self._keep_s = keep_s
        self._most_spans = most_spans
        self._most = most
        self._kept: dict[str, tuple[str, Opened, Origin | None]] = {}

    def put(self, opened: Opened, owner: str, origin: Origin | None = None) -> str:
        """Keep it; gives the key that its address needs."""
        key = secrets.token_urlsafe(12)
        self._kept[key] = (owner, opened, origin)
        while len(self._kept) > 1 and (len(self._kept) > self._most or self._spans() > self._most_spans):
            del self._kept[next(iter(self._kept))]
        asyncio.get_running_loop().call_later(self._keep_s, self._kept.pop, key, None)
        return key

    def get(self, key: str, owner: str) -> Opened:
        """Errors: NotFound, also for somebody else's."""
        owned = self._kept.get(key)
        if owned is None or owned[0] != owner:
            raise NotFound("This upload is no longer here. An upload is kept for a quarter of an hour; send it again.")
        return owned[1]

    def renew(self, key: str, opened: Opened) -> None:
        """Keep the same trace with a newer verdict, for as long as it was to be kept."""
        if key in self._kept:
            owner, _, origin = self._kept[key]
            self._kept[key] = (owner, opened, origin)

    def origin(self, key: str) -> Origin | None:
        """Where it was taken from; None for what somebody sent."""
        kept = self._kept.get(key)
        return kept[2] if kept is not None else None

    def _spans(self) -> int:
        return sum(len(opened.trace) for _, opened, _ in self._kept.values())
