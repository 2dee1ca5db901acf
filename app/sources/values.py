"""What the clients return besides spans: frozen, in Clew's own units, free of any source's dialect."""

from __future__ import annotations

import enum

import msgspec

from app.times import Nanos, UnixNanos


class SourceHealth(msgspec.Struct, frozen=True):
    """What is known of a source from the requests made to it; None where it has not been asked, or has not failed.

    paused_until_ns: it failed several times in a row; until then requests fail at once.
    """

    source: str
    enabled: bool
    last_success_ns: UnixNanos | None = None
    failing_since_ns: UnixNanos | None = None
    last_error: str = ""
    paused_until_ns: UnixNanos | None = None


class AlertState(enum.StrEnum):
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"
    SUPPRESSED = "suppressed"  # silenced or inhibited by Alertmanager


class FiringAlert(msgspec.Struct, frozen=True):
    """One alert instance as a source reports it now (or reported it, for a webhook).

    started_ns: Prometheus' `activeAt` (start of *pending*) or Alertmanager's `startsAt` (start of *firing*).
    ended_ns:   the real end, None while it lasts; Alertmanager's future expiry is not an end and stays None.
    """

    source: str  # "prometheus", "alertmanager" or "webhook"
    labels: dict[str, str]
    annotations: dict[str, str]
    state: AlertState
    started_ns: UnixNanos
    ended_ns: UnixNanos | None = None
    value: float | None = None
    fingerprint: str = ""
    generator_url: str = ""
    receivers: tuple[str, ...] = ()
    silenced_by: tuple[str, ...] = ()


class Interval(msgspec.Struct, frozen=True):
    """A stretch of an alert's history. `end_ns` None: still so at the end of the window asked for.

    after_outage: the stretch before this one ended because the evaluator fell silent, not because the alert resolved.
    began_before: it was already so when the window began; the true start is earlier than `start_ns`.
    """

    state: AlertState
    start_ns: UnixNanos
    end_ns: UnixNanos | None
    after_outage: bool = False
    began_before: bool = False


class AlertHistory(msgspec.Struct, frozen=True):
    """All pending and firing stretches of one alert instance (labels without `alertstate`) in a window."""

    labels: dict[str, str]
    intervals: tuple[Interval, ...]
    evaluation_s: float


class Sample(msgspec.Struct, frozen=True):
    time_ns: UnixNanos
    value: float


class Series(msgspec.Struct, frozen=True):
    labels: dict[str, str]
    samples: tuple[Sample, ...]


class QueryResult(msgspec.Struct, frozen=True):
    """An instant or range query's answer. `warnings` are the server's own words and belong into evidence."""

    series: tuple[Series, ...]
    warnings: tuple[str, ...] = ()


class Exemplar(msgspec.Struct, frozen=True):
    """`trace_id` is padded to 32 digits; `labels` are the exemplar's own, `series` those of its series."""

    trace_id: str
    span_id: str
    value: float
    time_ns: UnixNanos
    labels: dict[str, str]
    series: dict[str, str]


class ExemplarResult(msgspec.Struct, frozen=True):
    """Exemplars that name a trace, oldest first; they are rate-limited samples, so that their absence proves nothing.

    storage: is exemplar storage switched on? None where the server does not tell. Without it every answer is empty.
    """

    exemplars: tuple[Exemplar, ...]
    storage: bool | None = None
    warnings: tuple[str, ...] = ()


class Rule(msgspec.Struct, frozen=True):
    """An alerting or recording rule as loaded now. Labels and annotations hold unexpanded templates."""

    kind: str  # "alerting" or "recording"
    name: str
    query: str
    group: str
    file: str
    interval_s: float
    for_s: float = 0.0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    state: str = ""
    health: str = ""
    last_error: str = ""


class Target(msgspec.Struct, frozen=True):
    labels: dict[str, str]
    health: str
    last_error: str
    last_scrape_ns: UnixNanos


class Silence(msgspec.Struct, frozen=True):
    id: str
    matchers: tuple[str, ...]  # in Alertmanager's own notation, such as alertname="X"
    starts_ns: UnixNanos
    ends_ns: UnixNanos
    created_by: str
    comment: str
    state: str


class AlertGroup(msgspec.Struct, frozen=True):
    labels: dict[str, str]
    receiver: str
    alerts: tuple[FiringAlert, ...]


class WebhookNotification(msgspec.Struct, frozen=True):
    """One notification of Alertmanager about a group of alerts. Each alert has its own state; the group's is not theirs.

    truncated_alerts: members left out because the receiver's `max_alerts` was reached.
    """

    receiver: str
    group_key: str
    group_labels: dict[str, str]
    common_labels: dict[str, str]
    common_annotations: dict[str, str]
    external_url: str
    truncated_alerts: int
    alerts: tuple[FiringAlert, ...]


class BuildInfo(msgspec.Struct, frozen=True):
    """`version` is "" where the server does not say."""

    product: str
    version: str
    revision: str = ""


class FoundSpan(msgspec.Struct, frozen=True):
    span_id: str
    name: str
    start_ns: UnixNanos
    duration_ns: Nanos
    attributes: dict[str, str | int | float | bool]


class FoundTrace(msgspec.Struct, frozen=True):
    """One hit of a search. Facts about the whole trace (duration, spans) are the index's and may lag: fetch by id for them.

    root_service is "" while the backend has not seen the root; matched counts the spans that matched, of which `spans`
    are the first few.
    """

    trace_id: str
    root_service: str
    root_name: str
    start_ns: UnixNanos
    duration_ns: Nanos
    matched: int
    spans: tuple[FoundSpan, ...]
    span_count: int = 0
    error_count: int = 0


class SearchResult(msgspec.Struct, frozen=True):
    """Hits of one search request.

    limited:    the answer is as long as the limit: there may be more.
    incomplete: the backend says that it stopped early.
    """

    traces: tuple[FoundTrace, ...]
    limited: bool
    incomplete: bool
    query: str
    start_ns: UnixNanos
    end_ns: UnixNanos
    note: str = ""


class SearchSlice(msgspec.Struct, frozen=True):
    """One stretch of an exhaustive search. `problem` is "" where every match in it was returned, else why not."""

    start_ns: UnixNanos
    end_ns: UnixNanos
    found: int
    problem: str = ""


class CompleteSearch(msgspec.Struct, frozen=True):
    """All matches in a window, or as many as could be had and the stretches where some are missing.

    traces: each once, newest first.
    slices: without gap or overlap, oldest first; together the window, widened to whole seconds.
    """

    traces: tuple[FoundTrace, ...]
    query: str
    start_ns: UnixNanos
    end_ns: UnixNanos
    slices: tuple[SearchSlice, ...]
    requests: int

    @property
    def complete(self) -> bool:
        return not any(part.problem for part in self.slices)

    @property
    def missing(self) -> tuple[SearchSlice, ...]:
        """The stretches in which there are, or may be, more matches than were found."""
        return tuple(part for part in self.slices if part.problem)


class TraceBytes(msgspec.Struct, frozen=True):
    """A trace as received: what evidence keeps.

    url has no credentials; media_type is the response's own; partial and note are the backend's words.
    """

    trace_id: str
    body: bytes
    media_type: str
    url: str
    tenant: str
    received_ns: UnixNanos
    partial: bool = False
    note: str = ""


class TagValue(msgspec.Struct, frozen=True):
    type: str
    value: str
