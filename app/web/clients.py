"""The telemetry sources of one process, each there or switched off."""

from __future__ import annotations

import dataclasses

from app.settings import Settings


@dataclasses.dataclass(frozen=True)
class Clients:
    tempo: None = None
    prometheus: None = None
    alertmanager: None = None

    @classmethod
    def of(cls, settings: Settings) -> Clients:
        return cls()

    async def close(self) -> None:
        return None
