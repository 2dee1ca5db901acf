"""The way telemetry takes: what is scraped, what a Collector takes in, refuses, fails to send, and how full it is. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import re2

from app.doctor.facts import Facts, Missing, Pipeline, Tally
from app.doctor.finding import Finding, Off, Severity, Unknown, for_shell, found

# Jobs that carry what Clew reads. Others may be down without harm to it.
_OURS = re2.compile(r"(?i)otel|collector|security|span.?metric|alloy|agent|tempo|clew|trac")
_FULL = 0.8

_SCRAPE = """\
scrape_configs:
  - job_name: otel-security-metrics
    honor_labels: false
    sample_limit: 50000
    static_configs:
      - targets: [otel-collector.example:8889]   # with `clew embedded`: its query port, such as clew.example:3200
  - job_name: otel-collector
    static_configs:
      - targets: [otel-collector.example:8888]"""
_RETRY = """\
exporters:
  otlp_grpc/tempo:
    endpoint: tempo.example:4317
    retry_on_failure: {enabled: true, max_elapsed_time: 10m}
    sending_queue: {enabled: true, queue_size: 20000, storage: file_storage/queue}"""
_MEMORY = """\
processors:
  memory_limiter: {check_interval: 1s, limit_percentage: 75, spike_limit_percentage: 20}   # first in every pipeline"""
_RULES = """\
rule_files:
  - auth.rules.yml
  - pipeline.rules.yml"""

Said = Iterator[Finding | Unknown | Off]


def _pipeline(check: str, facts: Facts, *, collector: bool = False) -> Pipeline | Unknown | Off:
    """What is known, or why it is not. collector: only where a Collector tells its own numbers."""
    if isinstance(facts.pipeline, Missing):
        return Unknown(check, facts.pipeline.why)
    if collector and not facts.pipeline.collectors:
        return no_collector(check, facts.pipeline)
    return facts.pipeline


def no_collector(check: str, pipeline: Pipeline) -> Unknown | Off:
    """Why nothing is known of a Collector: it tells nobody, or there is none."""
    if pipeline.embedded:
        return Off(check, "Spans go straight to clew embedded: there is no Collector.")
    return Unknown(check, "No Collector's own metrics are in Prometheus.")


def targets(check: str, facts: Facts) -> Said:
    """Does Prometheus reach what it scrapes?"""
    pipeline = _pipeline(check, facts)
    if not isinstance(pipeline, Pipeline):
        yield pipeline
        return
    if isinstance(pipeline.targets, Missing):
        yield Unknown(check, pipeline.targets.why)
        return
    if not [target for target in pipeline.targets if not target.own]:
        yield found(
            check,
            Severity.BROKEN,
            "Prometheus",
            "Prometheus scrapes nothing but itself." if pipeline.targets else "Prometheus scrapes nothing.",
            detail="No rule has anything to work on, and a quiet list of alerts means nothing.",
            measured="0 targets",
            remedy="Give it the Collector's two ports, or the query port of clew embedded.",
            paste=_SCRAPE,
        )
        return
    for target in pipeline.targets:
        if target.up or target.own:
            continue
        ours = bool(_OURS.search(target.job[:200]))
        yield found(
            check,
            Severity.BROKEN if ours else Severity.NOTE,
            f"{target.job} {target.instance}",
            f"Prometheus cannot scrape {target.instance} of the job {target.job}.",
            detail=(target.error[:200] + (". " if target.error and not target.error.endswith(".") else " ")).strip()
            + (" Until it answers, nobody sees whether spans arrive, and no alert from it is to be trusted." if ours else ""),
            measured="up is 0",
            remedy="Start it, or correct its address in scrape_configs.",
            paste=f"curl -sS {for_shell(f'http://{target.instance}/metrics')} | head",
            language="shell",
        )


def auth_metrics(check: str, facts: Facts) -> Said:
    """Are auth checks counted before sampling?"""
    pipeline = _pipeline(check, facts)
    if not isinstance(pipeline, Pipeline):
        yield pipeline
        return
    if pipeline.auth_series:
        return
    checks = sum(facts.kept.by.values()) if isinstance(facts.kept, Tally) else 0
    spoke = pipeline.auth_series_before
    if not checks and not spoke:
        words = "There are neither auth spans nor auth metrics in this window."
        yield Unknown(check, facts.kept.why if isinstance(facts.kept, Missing) else words)
        return
    if not spoke and not pipeline.settled and _scrapes(pipeline):
        yield Unknown(check, "Prometheus has scraped for less than two minutes.")
        return
    yield found(
        check,
        Severity.BROKEN,
        "Prometheus",
        "Traces hold auth checks, and Prometheus counts none of them."
        if checks
        else "Prometheus counted auth checks before, and does not any more.",
        detail="No alert on log-ins can fire, and what sampling dropped cannot be told.",
        measured=f"{checks:,} auth spans, 0 series",
        remedy="Scrape the span metrics of the Collector, or of clew embedded.",
        paste=_SCRAPE,
    )


def _scrapes(pipeline: Pipeline) -> bool:
    """Whether anything besides Prometheus itself is scraped by now."""
    return isinstance(pipeline.targets, tuple) and any(target.up and not target.own for target in pipeline.targets)


_LOSSES = {
    "receiver_refused_spans": (Severity.HARMFUL, "refuses spans", "It has no room. Services try again, then throw them away."),
    "receiver_failed_spans": (Severity.HARMFUL, "fails on spans it received", "They do not go on to metrics or storage."),
    "memory_limiter_refused_spans": (Severity.HARMFUL, "refuses spans for lack of memory", "Services retry, then lose them."),
    "embedded_refused_spans": (Severity.HARMFUL, "refused spans", "Their ids were not valid, or they could not be written."),
}  # fmt: skip
_SENDING = {
    "exporter_send_failed_spans": (
        "fails to send spans",
        "The trace backend refuses them or does not answer; what the queue cannot hold will be missing from traces.",
    ),
    "exporter_enqueue_failed_spans": ("throws spans away: a queue is full", "Traces of this time have holes."),
}


def receiver(check: str, facts: Facts) -> Said:
    """Does the Collector, or Clew's own backend, take in all that it is sent?"""
    pipeline = _pipeline(check, facts)
    if isinstance(pipeline, Pipeline) and not (pipeline.collectors or pipeline.embedded):
        pipeline = no_collector(check, pipeline)
    if not isinstance(pipeline, Pipeline):
        yield pipeline
        return
    for loss in pipeline.losses:
        if loss.counter not in _LOSSES:
            continue
        severity, what, detail = _LOSSES[loss.counter]
        yield found(
            check,
            severity if loss.still or loss.count >= 100 else Severity.WEAK,
            f"{loss.instance} {loss.at}".strip(),
            f"{loss.instance} {what}{f' at {loss.at}' if loss.at else ''}.",
            detail=detail,
            measured=f"{loss.count:,} spans in the window" + ("" if loss.still else ", none in the last minutes"),
            remedy="Give the Collector memory, or more of them; see what the exporters are waiting for.",
            paste=_MEMORY,
        )


def exporter(check: str, facts: Facts) -> Said:
    """Does the Collector get rid of what it took in?"""
    pipeline = _pipeline(check, facts, collector=True)
    if not isinstance(pipeline, Pipeline):
        yield pipeline
        return
    for loss in pipeline.losses:
        if loss.counter not in _SENDING:
            continue
        what, detail = _SENDING[loss.counter]
        yield found(
            check,
            Severity.BROKEN if loss.still else Severity.HARMFUL,
            f"{loss.instance} {loss.at}".strip(),
            f"The Collector {loss.instance} {what}{f' ({loss.at})' if loss.at else ''}.",
            detail=detail,
            measured=f"{loss.count:,} spans in the window" + ("" if loss.still else ", none in the last minutes"),
            remedy="See whether the backend answers and accepts the credentials; give the queue a disk.",
            paste=_RETRY,
        )


def fullness(check: str, facts: Facts) -> Said:
    """Have the queues and the memory room?"""
    pipeline = _pipeline(check, facts, collector=True)
    if not isinstance(pipeline, Pipeline):
        yield pipeline
        return
    for what, levels, paste in (("queue", pipeline.queues, _RETRY), ("memory", pipeline.memory, _MEMORY)):
        for level in levels:
            if level.limit <= 0 or level.worst / level.limit <= _FULL:
                continue
            where = f" of {level.at}" if level.at else ""
            yield found(
                check,
                Severity.HARMFUL,
                f"{level.instance} {level.at or what}".strip(),
                f"The {what}{where} on {level.instance} was {level.worst / level.limit:.0%} full.",
                detail="When it is full, spans are thrown away."
                if what == "queue"
                else "Soon it refuses spans, or is ended by the system.",
                measured=f"{level.worst / level.limit:.0%}",
                remedy="Find out why the backend is slow, or make room."
                if what == "queue"
                else "Give it memory, or shorten decision_wait and num_traces.",
                paste=paste,
            )


def rules(check: str, facts: Facts) -> Said:
    """Are there rules on auth, and do they work?"""
    pipeline = _pipeline(check, facts)
    if not isinstance(pipeline, Pipeline):
        yield pipeline
        return
    if isinstance(pipeline.rules, Missing):
        yield Unknown(check, pipeline.rules.why)
        return
    if not pipeline.rules:
        yield found(
            check,
            Severity.HARMFUL,
            "Prometheus",
            "No alerting rule looks at auth checks.",
            detail="Nothing calls anybody when an attack begins.",
            measured="0 rules",
            remedy="Load the rules of deploy/prometheus.",
            paste=_RULES,
        )
    for name, why in pipeline.broken_rules:
        yield found(
            check,
            Severity.BROKEN,
            name,
            f"The rule {name} cannot be evaluated.",
            detail=why,
            remedy="Correct its expression; check it before loading.",
            paste="promtool check rules auth.rules.yml",
            language="shell",
        )


def blind(check: str, facts: Facts) -> Said:
    """Does an alert on the pipeline itself fire?"""
    pipeline = _pipeline(check, facts)
    if not isinstance(pipeline, Pipeline):
        yield pipeline
        return
    for name in pipeline.blind_alerts:
        yield found(
            check,
            Severity.HARMFUL,
            name,
            f"The alert {name} fires: the pipeline itself is not well.",
            detail="Alerts and traces of this time may be incomplete.",
            remedy="Follow its runbook in docs/runbooks.md.",
        )
