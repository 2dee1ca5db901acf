"""The telemetry sources of one process. A source without a URL in the settings is None: it is switched off, not failing."""

from __future__ import annotations

import dataclasses

from app.settings import Settings
from app.sources.alertmanager import AlertmanagerClient
from app.sources.prometheus import PrometheusClient
from app.sources.tempo import TempoClient


@dataclasses.dataclass(frozen=True)
class Clients:
    tempo: TempoClient | None = None
    prometheus: PrometheusClient | None = None
    alertmanager: AlertmanagerClient | None = None

    @classmethod
    def of(cls, settings: Settings) -> Clients:
        """Clients for the sources that are set up. Nothing is asked yet."""
        return cls(
            tempo=TempoClient(settings.tempo) if settings.tempo.enabled else None,
            prometheus=PrometheusClient(settings.prometheus) if settings.prometheus.enabled else None,
            alertmanager=AlertmanagerClient(settings.alertmanager) if settings.alertmanager.enabled else None,
        )

    async def close(self) -> None:
        for client in (self.tempo, self.prometheus, self.alertmanager):
            if client is not None:
                await client.aclose()
