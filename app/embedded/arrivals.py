"""Which spans count as happening now.

Span metrics count at arrival, and Prometheus stamps them with the time of its scrape. Spans of an hour ago (a replayed
incident, a collector that was cut off) would look like a burst now and raise false alerts, so they are stored and searchable
but counted apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from app.embedded.metrics import SpanMetrics
from app.times import SECOND
from app.traces.model import Span

LATE_S = 300


class Arrivals:
    def __init__(self, metrics: SpanMetrics, *, clock: Callable[[], float] = time.time) -> None:
        self._metrics = metrics
        self._clock = clock
        self.late = 0

    def observe(self, spans: Sequence[Span]) -> None:
        """Count the spans that ended within LATE_S."""
        earliest = int((self._clock() - LATE_S) * SECOND)
        current = [span for span in spans if span.end_ns >= earliest]
        self.late += len(spans) - len(current)
        self._metrics.count(current)
