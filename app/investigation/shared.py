"""One answer for all who ask the same at the same time, and for a short while after."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from cachetools import TLRUCache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Shared(Generic[K, V]):
    """Work under way is joined, not repeated; what it gave is kept for `ttl_s` seconds. Failures are not kept.

    Work goes on when the one who asked first goes away: others may be waiting, and the next page wants it.
    """

    def __init__(self, most: int = 256) -> None:
        self._under_way: dict[K, asyncio.Task[V]] = {}
        self._kept: TLRUCache[K, tuple[V, float]] = TLRUCache(most, ttu=lambda _key, entry, now: now + entry[1])

    async def get(self, key: K, make: Callable[[], Awaitable[V]], *, ttl_s: float) -> V:
        kept = self._kept.get(key)
        if kept is not None:
            return kept[0]
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.ensure_future(self._make(key, make, ttl_s))
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._finished(key, done))
        return await asyncio.shield(task)

    async def _make(self, key: K, make: Callable[[], Awaitable[V]], ttl_s: float) -> V:
        value = await make()
        self._kept[key] = (value, ttl_s)
        return value

    def _finished(self, key: K, task: asyncio.Task[V]) -> None:
        self._under_way.pop(key, None)
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not complain where nobody waited any more

    async def close(self) -> None:
        for task in list(self._under_way.values()):
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
