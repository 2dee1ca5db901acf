"""What every client of a telemetry source has in common: one way out, its health, and an end."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

import httpx2 as httpx

from app.errors import SourceError
from app.settings import SourceSettings
from app.sources.answer import Answer, Clean
from app.sources.http import SourceHttp
from app.sources.values import SourceHealth
from app.times import UnixNanos, now_ns

S = TypeVar("S", bound=SourceSettings)


class SourceClient(Generic[S]):
    """A client of one source; a subclass gives the name a person knows it by, and how its refusals read.

    transport: in place of the network, for tests and for apps in this process.
    """

    NAME: ClassVar[str]

    def __init__(
        self, settings: S, *, transport: httpx.AsyncBaseTransport | None = None, clock: Callable[[], UnixNanos] = now_ns
    ) -> None:
        self.settings = settings
        self.http = SourceHttp(self.NAME, settings, transport=transport, refusal=self.refusal, clock=clock)

    def refusal(self, answer: Answer, operation: str, clean: Clean) -> SourceError | None:
        """This source's reading of an answer that says no; None leaves it to the general one."""
        return None

    @property
    def enabled(self) -> bool:
        return self.settings.enabled

    @property
    def health(self) -> SourceHealth:
        return self.http.health

    async def aclose(self) -> None:
        await self.http.aclose()
