"""What was measured, before anything is concluded from it. What could not be had is `Missing`, with the reason. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from app.doctor.observe import Observed
from app.doctor.report import Connection, SampleSize
from app.times import UnixNanos


class Missing(msgspec.Struct, frozen=True):
    """A fact that could not be had: why, as a sentence."""

    why: str


class Tally(msgspec.Struct, frozen=True):
    """Auth checks by service and result, in the words of `auth.result`.

    slack: how many may belong to the other side of the window's edges, because counters arrive later than spans
    """

    by: Mapping[tuple[str, str], int]
    slack: int = 0
    about: str = ""

    def of(self, result: str, service: str | None = None) -> int:
        return sum(n for (who, what), n in self.by.items() if what == result and service in (None, who))


class Refused(msgspec.Struct, frozen=True):
    """Exemplars of refused checks, and those of them whose trace the backend does not have."""

    asked: int
    gone: tuple[str, ...]


class Metric(msgspec.Struct, frozen=True):
    """Series of one metric: now, at the window's start (None: not known), and values by label, the most first."""

    name: str
    series: int
    before: int | None
    labels: tuple[tuple[str, int], ...]
    overflow: bool = False


class Scraped(msgspec.Struct, frozen=True):
    """One target of Prometheus. own: Prometheus scrapes itself."""

    job: str
    instance: str
    up: bool
    error: str = ""
    own: bool = False


class Loss(msgspec.Struct, frozen=True):
    """Something a Collector lost or refused: which counter, where, how many in the window, and whether just now."""

    counter: str
    instance: str
    at: str
    count: int
    still: bool


class Level(msgspec.Struct, frozen=True):
    """A gauge against its limit: a queue, memory. `worst` of the window."""

    instance: str
    at: str
    worst: float
    limit: float


class Pipeline(msgspec.Struct, frozen=True):
    """What Prometheus knows of the way telemetry takes.

    collectors:      Collectors that report their own numbers; embedded: so does Clew's own backend
    settled:         something besides Prometheus itself was scraped two minutes before the end
    """

    targets: tuple[Scraped, ...] | Missing
    collectors: tuple[str, ...]
    embedded: bool
    losses: tuple[Loss, ...]
    queues: tuple[Level, ...]
    memory: tuple[Level, ...]
    accepted: int | None
    auth_series: int
    auth_series_before: bool
    settled: bool
    rules: tuple[str, ...] | Missing
    broken_rules: tuple[tuple[str, str], ...] = ()
    blind_alerts: tuple[str, ...] = ()


class CaseTraces(msgspec.Struct, frozen=True):
    """The unpreserved traces of one open case: those that Tempo no longer has, and those that it will forget first."""

    case: str
    opened_ns: int
    asked: int
    gone: tuple[str, ...]
    oldest_ns: int | None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, over one window.

    spans, before: spans by service, as the backend counts them, in the window and in one as long before it
    newest_ns:     end of the newest span of the sample
    roots:         traces that begin in a service that others call, by service
    kept, counted: auth checks as spans, and as Prometheus' counters
    kept_for_ns:   how long the backend keeps traces, metrics_kept how long Prometheus keeps metrics, in its words
    """

    start_ns: UnixNanos
    end_ns: UnixNanos
    connections: tuple[Connection, ...]
    sample: SampleSize
    traces: tuple[Observed, ...] | Missing
    spans: Mapping[str, int] | Missing
    before: Mapping[str, int] | Missing
    roots: Mapping[str, tuple[str, ...]]
    kept: Tally | Missing
    counted: Tally | Missing
    refused: Refused | Missing
    metrics: tuple[Metric, ...] | Missing
    pipeline: Pipeline | Missing
    kept_for_ns: int | Missing
    metrics_kept: str | Missing
    cases: tuple[CaseTraces, ...] | Missing

    def connection(self, source: str) -> Connection:
        return next(connection for connection in self.connections if connection.source == source)
