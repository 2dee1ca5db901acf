"""How many series the auth metrics have, by which labels, and how fast they grow: too many, and Prometheus takes none. Pure."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

from app.doctor.facts import Facts, Metric, Missing
from app.doctor.finding import Finding, Severity, Unknown, found

_MANY = 10_000
_TOO_MANY = 40_000  # the sample_limit of deploy/prometheus is 50,000 for a scrape
# Values a label may have. Subnets and slices of names grow with an attack, which is no fault.
_CLOSED = {"auth_result": 10, "auth_failure_reason": 30, "auth_method": 20}
_OPEN = frozenset({"auth_client_subnet", "auth_user_bucket", "le", "service_name", "service", "job", "instance",
                   "exported_job", "exported_instance", "k8s_pod_name", "service_instance_id", "pod"})  # fmt: skip
_USUAL = 150
# Labels that name one person, connection or request, by their last words.
_IDENTITY = frozenset({"user_id", "user_name", "user_email", "user_hash", "username", "enduser_id", "email", "client_address",
                       "net_peer_ip", "http_client_ip", "network_peer_address", "source_address", "trace_id", "span_id",
                       "session_id", "request_id", "url_full", "http_url", "http_target", "url_path", "url_query",
                       "auth_subject", "auth_username", "user_agent_original"})  # fmt: skip

Said = Iterator[Finding | Unknown]

# The known values go between the brackets.
_CLOSE = """\
processors:
  transform/closed_labels:
    error_mode: ignore
    trace_statements:
      - context: span
        statements:
          - set(span.attributes["{attribute}"], "other")
            where not IsMatch(span.attributes["{attribute}"], "^(the|known|values)$$")"""
_DROP = """\
metric_relabel_configs:
  - regex: {label}
    action: labeldrop"""
_LIMIT = """\
connectors:
  span_metrics/auth:
    aggregation_cardinality_limit: 20000
    series_expiration: 30m"""


def _on_metrics(look: Callable[[str, Facts, tuple[Metric, ...]], Said]) -> Callable[[str, Facts], Said]:
    """A check that looks at the auth metrics; without any it could not be made, and says why."""

    @functools.wraps(look)
    def ask(check: str, facts: Facts) -> Said:
        if isinstance(facts.metrics, Missing):
            yield Unknown(check, facts.metrics.why)
        elif not facts.metrics:
            yield Unknown(check, "Prometheus has no auth metrics.")
        else:
            yield from look(check, facts, facts.metrics)

    return ask


@_on_metrics
def series(check: str, facts: Facts, metrics: tuple[Metric, ...]) -> Said:
    """Are there more series than a scrape may bring?"""
    for metric in metrics:
        if metric.series < _MANY:
            continue
        worst = ", ".join(f"{label} ({count:,})" for label, count in metric.labels[:3])
        yield found(
            check,
            Severity.HARMFUL if metric.series >= _TOO_MANY else Severity.WEAK,
            metric.name,
            f"{metric.name} has {metric.series:,} series.",
            detail=f"Most values: {worst}. Above a scrape's sample_limit Prometheus takes nothing, and every rule is blind.",
            measured=f"{metric.series:,} series",
            remedy="Give the label with most values a closed list, or take it off the histogram.",
            paste=_LIMIT,
        )


@_on_metrics
def overflow(check: str, facts: Facts, metrics: tuple[Metric, ...]) -> Said:
    """Have the span metrics reached their own limit?"""
    for metric in metrics:
        if not metric.overflow:
            continue
        yield found(
            check,
            Severity.BROKEN,
            metric.name,
            f"{metric.name} has reached its limit of series: new sources and reasons are counted without their labels.",
            detail="An attack from many addresses may hide in the series with otel_metric_overflow.",
            measured=f"{metric.series:,} series",
            remedy="Find the label with most values and close its list; raise the limit only after that.",
            paste=_LIMIT,
        )


@_on_metrics
def labels(check: str, facts: Facts, metrics: tuple[Metric, ...]) -> Said:
    """Does a label hold free text?"""
    seen: set[str] = set()
    for metric in metrics:
        for label, count in metric.labels:
            most = _CLOSED.get(label, _USUAL)
            if label in _OPEN or label in seen or identifies(label) or count <= most:
                continue
            seen.add(label)
            attribute = label.replace("_", ".", 1) if label.startswith("auth_") else label
            yield found(
                check,
                Severity.HARMFUL,
                label,
                f"The label {label} of {metric.name} has {count:,} values: it takes free text.",
                detail="Each value is a series of its own, stuck at one, for which no rate and no alert works.",
                measured=f"{count:,} values",
                remedy=f"Hold {label} to a closed list in the Collector, and keep the words on the span.",
                paste=_CLOSE.format(attribute=attribute)
                if label != "span_name"
                else '# name spans by what they do, never by an id:\ntracer.start_as_current_span("auth.login")',
                language="yaml" if label != "span_name" else "python",
            )


@_on_metrics
def identity(check: str, facts: Facts, metrics: tuple[Metric, ...]) -> Said:
    """Does a label name persons, addresses or single requests?"""
    seen: set[str] = set()
    for metric in metrics:
        for label, count in metric.labels:
            if not identifies(label) or label in seen:
                continue
            seen.add(label)
            yield found(
                check,
                Severity.HARMFUL,
                label,
                f"The label {label} of {metric.name} names persons, addresses or single requests.",
                detail="It grows without end, and Prometheus keeps personal data that nobody can delete from it.",
                measured=f"{count:,} values",
                remedy="Take the label off the metric; the spans keep it, and traces answer who it was.",
                paste=_DROP.format(label=label),
            )


@_on_metrics
def growth(check: str, facts: Facts, metrics: tuple[Metric, ...]) -> Said:
    """Do the series grow in step with something other than use?"""
    known = [metric for metric in metrics if metric.before is not None]
    if not any(metric.before for metric in known):
        yield Unknown(check, "There were no series at the window's start to compare with.")
        return
    for metric in known:
        before = metric.before or 0
        added = metric.series - before
        if before < 50 or added < 2_000 or metric.series < 3 * before:
            continue
        label = metric.labels[0][0] if metric.labels else ""
        attack = label in ("auth_client_subnet", "auth_user_bucket")
        yield found(
            check,
            Severity.NOTE if attack else Severity.HARMFUL,
            metric.name,
            f"{metric.name} grew from {before:,} to {metric.series:,} series in this window.",
            detail="Most values are subnets or slices of names: that is an attack from many places, not a fault."
            if attack
            else f"Most values: {label}.",
            measured=f"{added:,} new series",
            remedy="Look at the attack." if attack else f"Close the list of values of {label}.",
            paste="" if attack else _LIMIT,
        )


def identifies(label: str) -> bool:
    """Whether a label's name says that each of its values stands for one person, address or request."""
    return label.lower() in _IDENTITY
