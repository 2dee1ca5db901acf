"""All checks in the order of their areas: what each asks, what it is worth, and the function that answers it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import msgspec

from app.doctor import cardinality, connections, context, coverage, pipeline, privacy, retention, sampling
from app.doctor.facts import Facts
from app.doctor.finding import Area, Finding, Off, Unknown
from app.doctor.report import Connection

Look: TypeAlias = Callable[[str, Facts], Iterator[Finding | Unknown | Off]]


class Check(msgspec.Struct, frozen=True):
    """One check. points: its share of the score, which is scaled so that all of them make a hundred."""

    id: str
    asks: str
    points: float
    look: Look

    @property
    def area(self) -> Area:
        return Area(self.id.partition(".")[0])


def _of_all(look: Callable[[str, Sequence[Connection]], Iterator[Finding | Unknown]]) -> Look:
    return lambda check, facts: look(check, facts.connections)


def _reachable(source: str) -> Look:
    return lambda check, facts: connections.reachable(check, facts.connection(source))


CHECKS: tuple[Check, ...] = (
    Check("connection.tempo", "Does Tempo answer?", 6, _reachable("Tempo")),
    Check("connection.prometheus", "Does Prometheus answer?", 5, _reachable("Prometheus")),
    Check("connection.alertmanager", "Does Alertmanager answer?", 1, _reachable("Alertmanager")),
    Check("connection.clock", "Do the sources' clocks agree with Clew's?", 2, _of_all(connections.clocks)),
    Check("connection.features", "Can the sources do what Clew makes use of?", 2, _of_all(connections.features)),
    Check("pipeline.targets", "Does Prometheus reach what it scrapes?", 4, pipeline.targets),
    Check("pipeline.auth_metrics", "Are auth checks counted before sampling?", 5, pipeline.auth_metrics),
    Check("pipeline.receiver", "Does the Collector take in all that it is sent?", 2, pipeline.receiver),
    Check("pipeline.exporter", "Does the Collector get rid of what it took in?", 3, pipeline.exporter),
    Check("pipeline.fullness", "Have its queues and its memory room?", 2, pipeline.fullness),
    Check("pipeline.rules", "Are there alerting rules on auth, and do they work?", 3, pipeline.rules),
    Check("pipeline.blind", "Is every alert on the pipeline itself quiet?", 1, pipeline.blind),
    Check("sampling.refusals_kept", "Is every refusal that was counted kept as a trace?", 8, sampling.refusals_kept),
    Check("sampling.successes_kept", "What part of the passed checks can traces show?", 2, sampling.successes_kept),
    Check("sampling.exemplars", "Do the traces exist that metrics name for refusals?", 3, sampling.exemplars),
    Check("sampling.tail", "Does the tail sampler see whole traces in time?", 3, sampling.tail),
    Check("coverage.fresh", "Do spans arrive?", 6, coverage.fresh),
    Check("coverage.silent", "Does every service still speak that did before?", 4, coverage.silent),
    Check("coverage.auth_signals", "Do services that refuse say why on a span?", 8, coverage.auth_signals),
    Check("coverage.unchecked", "Do the requests at each entry show a check?", 2, coverage.unchecked),
    Check("coverage.verdicts", "Are the verdicts on refused and failed requests sure?", 3, coverage.verdicts),
    Check("coverage.client_address", "Is it known from where requests come?", 4, coverage.client_address),
    Check("coverage.principal", "Is it known who asked?", 3, coverage.principal),
    Check("coverage.propagation_in", "Does the trace context arrive at every service?", 6, context.propagation_in),
    Check("coverage.propagation_out", "Does every service pass its trace context on?", 3, context.propagation_out),
    Check("coverage.uninstrumented", "Does every service that is called send spans?", 5, context.uninstrumented),
    Check("coverage.missing_hops", "Is the other end of every call stored?", 3, context.missing_hops),
    Check("coverage.orphans", "Is the parent of every span stored?", 3, context.orphans),
    Check("coverage.single_spans", "Is there more to traces than their entry?", 2, context.single_spans),
    Check("coverage.clock_skew", "Do the services' clocks agree?", 2, context.clock_skew),
    Check("coverage.partial", "Does the backend give out whole traces?", 2, context.partial),
    Check("cardinality.series", "Do the auth metrics fit into a scrape?", 2, cardinality.series),
    Check("cardinality.overflow", "Are all auth metrics counted with their labels?", 2, cardinality.overflow),
    Check("cardinality.labels", "Are the labels of auth metrics free of free text?", 2, cardinality.labels),
    Check("cardinality.identity", "Are the labels free of persons and single requests?", 2, cardinality.identity),
    Check("cardinality.growth", "Do the series grow no faster than use?", 1, cardinality.growth),
    Check("privacy.secrets", "Are spans free of passwords, tokens and keys?", 4, privacy.hidden),
    Check("privacy.persons", "Are spans free of names and mail addresses?", 1, privacy.persons),
    Check("retention.cases", "Are the traces of open cases still there?", 2, retention.cases),
    Check("retention.traces", "Are traces kept long enough?", 1, retention.traces),
    Check("retention.metrics", "Are metrics kept long enough?", 1, retention.metrics),
)
