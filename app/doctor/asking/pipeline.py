"""What Prometheus knows of the way telemetry takes: targets, the Collectors' own numbers, rules and alerts on it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from app.doctor.asking import rises
from app.doctor.facts import Level, Loss, Missing, Pipeline, Scraped
from app.errors import SourceError, SourceRefused
from app.investigation.labels import LabelMap
from app.sources import promql
from app.sources.prometheus import PrometheusClient
from app.sources.values import AlertState, Rule, Sample, Series
from app.times import MINUTE, SECOND

# With `_total` or without, as the Collector's version and settings have it.
_LOSSES = (
    r"otelcol_(receiver_(accepted|refused|failed)_spans|exporter_(send_failed|enqueue_failed)_spans|"
    r"processor_(memory_limiter_)?refused_spans|processor_tail_sampling_"
    r"(sampling_trace_dropped_too_early|sampling_policy_evaluation_error|sampling_late_span_age_count))(_total)?"
    r"|clew_embedded_(accepted|refused)_spans_total"
)
_WHERE = ("exporter", "receiver", "policy", "processor")
_OWN = "prometheus"  # the job under which it is usually told to scrape itself
_STILL = 5 * MINUTE
_SETTLED = 2 * MINUTE
_MOST = 200


async def pipeline(prometheus: PrometheusClient, labels: LabelMap, start_ns: int, end_ns: int) -> Pipeline | Missing:
    """All of it; Missing where Prometheus does not answer the first question."""
    step_ns = rises.step(start_ns, end_ns)
    window = promql.duration(end_ns - start_ns)
    counters = "|".join(counter.metric for counter in labels.counters)
    auth = f"{{__name__=~{promql.quote(counters)}}}"
    try:
        numbers, size, capacity, memory, limit, now, before, scraped = await asyncio.gather(
            prometheus.query_range(f"{{__name__=~{promql.quote(_LOSSES)}}}", start_ns, end_ns, step_ns / SECOND),
            prometheus.query(f"max_over_time(otelcol_exporter_queue_size[{window}])", end_ns),
            prometheus.query("otelcol_exporter_queue_capacity", end_ns),
            prometheus.query(f"max_over_time(otelcol_process_memory_rss[{window}])", end_ns),
            prometheus.query("auth:collector_memory_limit:bytes", end_ns),
            prometheus.query(f"count({auth})", end_ns),
            prometheus.query(f"count(last_over_time({auth}[{window}]))", end_ns),
            prometheus.query(f'count(up{{job!="{_OWN}"}})', end_ns - _SETTLED),
        )
        since = await rises.alive(prometheus, numbers.series[:_MOST], start_ns, end_ns)
    except SourceError as error:
        return Missing(error.sentence)
    targets, found_rules, blind = await asyncio.gather(_targets(prometheus), _rules(prometheus), _blind(prometheus))
    losses = [loss for one in numbers.series[:_MOST] if (loss := _loss(one, since, start_ns, end_ns, step_ns)) is not None]
    auth_rules = _on_auth(found_rules, labels) if not isinstance(found_rules, Missing) else ()
    return Pipeline(
        targets=targets,
        collectors=_instances(numbers.series, "otelcol_"),
        embedded=bool(_instances(numbers.series, "clew_embedded_")),
        losses=tuple(loss for loss in losses if loss.count and not loss.counter.endswith("accepted_spans")),
        queues=tuple(_levels(size.series, capacity.series)),
        memory=tuple(Level(*_at(one), one.samples[-1].value, _first(limit.series)) for one in memory.series),
        accepted=_accepted(losses),
        auth_series=round(_first(now.series)),
        auth_series_before=bool(before.series),
        settled=bool(scraped.series),
        rules=found_rules if isinstance(found_rules, Missing) else tuple(r.name for r in auth_rules if r.kind == "alerting"),
        broken_rules=tuple((rule.name[:120], rule.last_error[:300]) for rule in auth_rules if rule.health == "err"),
        blind_alerts=blind,
    )


async def _targets(prometheus: PrometheusClient) -> tuple[Scraped, ...] | Missing:
    """What is scraped; by the series `up` where there is no list, as with Mimir."""
    try:
        found = await prometheus.targets()
        return tuple(
            Scraped(
                one.labels.get("job", "")[:120],
                one.labels.get("instance", "")[:120],
                one.health != "down",
                one.last_error[:200],
                own=one.labels.get("job") == _OWN,
            )
            for one in found
        )
    except SourceRefused:
        pass
    except SourceError as error:
        return Missing(error.sentence)
    try:
        answer = await prometheus.query("up")
    except SourceError as error:
        return Missing(error.sentence)
    return tuple(
        Scraped(job[:120], instance[:120], one.samples[-1].value != 0, own=job == _OWN)
        for one in answer.series
        for job, instance in [(one.labels.get("job", ""), one.labels.get("instance", ""))]
    )


async def _rules(prometheus: PrometheusClient) -> tuple[Rule, ...] | Missing:
    try:
        return await prometheus.rules()
    except SourceError as error:
        return Missing(error.sentence)


async def _blind(prometheus: PrometheusClient) -> tuple[str, ...]:
    """Alerts that fire about the pipeline itself, as deploy/prometheus labels them."""
    try:
        alerts = await prometheus.alerts()
    except SourceError:
        return ()
    firing = {
        alert.labels.get("alertname", "")
        for alert in alerts
        if alert.state is AlertState.FIRING and alert.labels.get("detection_type") == "blind"
    }
    return tuple(sorted(firing))[:20]


def _on_auth(rules: Sequence[Rule], labels: LabelMap) -> list[Rule]:
    """Rules that look at auth metrics, or at what rules made of them."""
    words = [*(counter.metric for counter in labels.counters), *labels.metrics]
    recorded = {rule.name for rule in rules if rule.kind == "recording" and any(word in rule.query for word in words)}
    words += sorted(recorded)
    return [rule for rule in rules if any(word in rule.query for word in words)]


def _loss(one: Series, since: rises.Alive, start_ns: int, end_ns: int, step_ns: int) -> Loss | None:
    name = one.labels.get("__name__", "").removesuffix("_total")
    for prefix in ("otelcol_", "clew_", "processor_", "tail_sampling_"):
        name = name.removeprefix(prefix)
    if name == "refused_spans":  # the memory limiter's, before 0.155
        name = "memory_limiter_refused_spans"
    count = rises.rise(one, since, start_ns, step_ns)
    late_ns = end_ns - min(_STILL, (end_ns - start_ns) // 3)
    before: list[Sample] = [sample for sample in one.samples if sample.time_ns <= late_ns]
    late = Series(one.labels, tuple(before[-1:]) + tuple(sample for sample in one.samples if sample.time_ns > late_ns))
    still = rises.rise(late, since, late_ns, step_ns) > 0
    return Loss(name, *_at(one), count, still)


def _instances(series: Sequence[Series], prefix: str) -> tuple[str, ...]:
    """Who reports metrics with such names."""
    names = {one.labels.get("instance", "") for one in series if one.labels.get("__name__", "").startswith(prefix)}
    return tuple(sorted(names))


def _at(one: Series) -> tuple[str, str]:
    where = next((one.labels[label] for label in _WHERE if label in one.labels), "")
    return one.labels.get("instance", "")[:120], where[:120]


def _levels(sizes: Sequence[Series], capacities: Sequence[Series]) -> list[Level]:
    limits = {_at(one): one.samples[-1].value for one in capacities if one.samples}
    return [Level(*_at(one), one.samples[-1].value, limits.get(_at(one), 0.0)) for one in sizes if one.samples]


def _first(series: Sequence[Series]) -> float:
    return series[0].samples[-1].value if series and series[0].samples else 0.0


def _accepted(losses: Sequence[Loss]) -> int | None:
    taken = [loss.count for loss in losses if loss.counter.endswith("accepted_spans")]
    return sum(taken) if taken else None
