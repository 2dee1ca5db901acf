"""The telemetry sources that an investigation asks, each there or not."""

from __future__ import annotations

import dataclasses

from app.sources.alertmanager import AlertmanagerClient
from app.sources.prometheus import PrometheusClient
from app.sources.tempo import TempoClient
from app.sources.values import SourceHealth


@dataclasses.dataclass(frozen=True)
class Sources:
    """None for a source that is not set up."""

    tempo: TempoClient | None = None
    prometheus: PrometheusClient | None = None
    alertmanager: AlertmanagerClient | None = None

    def healths(self) -> tuple[SourceHealth, ...]:
        """What is known of each, from the requests made to it."""
        return tuple(
            client.health if client is not None else SourceHealth(name, enabled=False)
            for name, client in (("Prometheus", self.prometheus), ("Alertmanager", self.alertmanager), ("Tempo", self.tempo))
        )
