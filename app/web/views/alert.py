"""One alert: what it says, the picture of what tripped it, its labels, and when it fired before."""

from __future__ import annotations

import dataclasses
from typing import Any
from urllib.parse import quote

from app.errors import SourceError
from app.investigation import promql
from app.investigation.alerts import Alert, Episode
from app.investigation.entities import Entity, actor, service
from app.investigation.labels import LabelMap
from app.investigation.measure import Measure, Range
from app.investigation.service import Seen
from app.investigation.summary import From, annotation, summary
from app.settings import PrometheusSettings, Settings
from app.sources.values import AlertState
from app.times import DAY, MINUTE, SECOND, UnixNanos
from app.web import charts
from app.web.formats import clock, count, figure, moment
from app.web.views import links
from app.web.views.alert_traces import TracesView
from app.web.views.alert_words import (
    SOURCES,
    STATES,
    failure,
    source_states,
    state_of,
    unconfirmed,
    whole_seconds,
)
from app.web.views.parts import Failure, SourceState

_BEFORE = 30 * DAY
_MOST_BEFORE = 12
_NEAR = 15 * MINUTE
_MOST_NEAR = 8
_RANGES = {Range.HOUR: "1 h", Range.AROUND: "Around the alert", Range.DAY: "24 h"}


@dataclasses.dataclass(frozen=True)
class LabelRow:
    """entity is set where the label names somebody or something; unstable labels are not among an alert's own."""

    name: str
    value: str
    entity: Entity | None


@dataclasses.dataclass(frozen=True)
class EpisodeRow:
    href: str
    start_ns: UnixNanos
    lasted: str
    peak: str
    current: bool


@dataclasses.dataclass(frozen=True)
class NearRow:
    href: str
    severity: str
    severity_word: str
    name: str
    who: str
    start_ns: UnixNanos


@dataclasses.dataclass(frozen=True)
class ChartView:
    """legend: (kind, words) as ui.legend takes them.
    rule:   what the rule asks besides the curve, and for how long; "" where the curve says it all
    note:   what the picture cannot show
    """

    figure: dict[str, Any] | None
    words: str
    legend: tuple[tuple[str, str], ...]
    query: str
    rule: str
    note: str
    grafana: str
    prometheus: str


@dataclasses.dataclass(frozen=True)
class AlertView:
    """title:   the summary; `title_note` says where Clew had to make it itself
    group:   the crumb: what the list groups it under
    cases:   names of the cases that hold it
    facts:   what stands beside state and severity, in words
    chart:   None while it is still being asked for (chart_href then gives it), or where it failed
    traces:  None on a page that fetches them afterwards
    """

    key: str
    name: str
    title: str
    title_note: str
    description: str
    severity: str
    severity_word: str
    state: str
    state_words: str
    since_ns: UnixNanos
    since_style: str
    since_words: str
    facts: tuple[str, ...]
    note: str
    runbook: str
    generator: str
    case_href: str
    cases: tuple[str, ...]
    sources: tuple[SourceState, ...]
    failures: tuple[Failure, ...]
    ranges: tuple[tuple[str, str, bool], ...]
    chart: ChartView | None
    chart_failure: Failure | None
    chart_href: str
    labels: tuple[LabelRow, ...]
    before: tuple[EpisodeRow, ...]
    near: tuple[NearRow, ...]
    traces: TracesView | None
    traces_href: str


def alert_view(
    seen: Seen,
    settings: Settings,
    known: LabelMap,
    *,
    span: Range,
    query: str,
    measured: Measure | SourceError | None,
    cases: tuple[str, ...] = (),
    traces: TracesView | None = None,
    webhook: bool = False,
) -> AlertView:
    """query: the address's own query, handed on to the parts that the page fetches afterwards."""
    alert, board = seen.alert, seen.board
    now_ns = board.now_ns
    said = summary(alert)
    described = annotation(alert, "description")
    episode = alert.episode
    here = f"/alerts/{alert.key}"
    since = episode.fired_ns or episode.started_ns
    return AlertView(
        key=alert.key,
        name=alert.name,
        title=said.text,
        title_note="Filled in by Clew from the rule as it is now." if said.origin is From.RULE else "",
        description=described.text if described and described.text != said.text else "",
        severity=alert.severity.value,
        severity_word=alert.labels.get("severity", "") or "no severity",
        state=state_of(alert),
        state_words=_state_words(alert, now_ns),
        since_ns=since,
        since_style="clock" if now_ns - since < DAY else "moment",
        since_words=_since_words(alert, now_ns),
        facts=tuple(_facts(alert)),
        note=_sentence(unconfirmed(alert)),
        runbook=links.runbook(_told(alert, "runbook_url") or _told(alert, "runbook")),
        generator=links.outside(episode.generator_url),
        case_href=f"/cases/add?alert={quote(alert.key)}",
        cases=cases,
        sources=source_states(board, webhook=webhook),
        failures=tuple(failure(trouble, here) for trouble in board.troubles),
        ranges=tuple(
            (words, here if one is Range.AROUND else f"{here}?range={one.value}", one is span) for one, words in _RANGES.items()
        ),
        chart=chart_view(alert, measured, settings, now_ns) if isinstance(measured, Measure) else None,
        chart_failure=Failure.of(measured, still="Labels and state do not depend on it.", retry_href=here)
        if isinstance(measured, SourceError)
        else None,
        chart_href=f"{here}/chart?range={span.value}",
        labels=_labels(alert, seen.plan.entities),
        before=_before(alert, now_ns),
        near=_near(seen, known),
        traces=traces,
        traces_href=f"{here}/traces{'?' + query if query else ''}",
    )


def chart_view(alert: Alert, measured: Measure, settings: Settings, now_ns: UnixNanos) -> ChartView:
    begin, end = measured.window
    threshold = measured.threshold.value if measured.threshold else None
    stretches = [i for i in measured.intervals if i.start_ns < end and (i.end_ns or now_ns) > begin]
    drawn = measured.series
    legend: list[tuple[str, str]] = []
    if drawn:
        legend.append(("line", alert.rule.name if len(drawn) == 1 and alert.rule else f"{count(len(drawn))} series"))
    if measured.exemplars:
        many = len(measured.exemplars)
        legend.append(("ring", f"{count(many)} exemplar{'' if many == 1 else 's'}, each a trace"))
    for kind, state, words in (("error", AlertState.PENDING, "pending"), ("deny", AlertState.FIRING, "firing")):
        if any(stretch.state is state for stretch in stretches):
            legend.append((kind, words))
    return ChartView(
        figure=charts.alert_chart(drawn, threshold, stretches, measured.exemplars, measured.window, alert.key)
        if drawn
        else None,
        words=charts.alert_words(drawn, threshold, stretches, measured.window),
        legend=tuple(legend),
        query=_with_threshold(measured),
        rule=_rule_words(alert),
        note=measured.note,
        grafana=links.grafana_metric(settings.grafana, measured.query, begin, end) if measured.query else "",
        prometheus=_graph(settings.prometheus, measured.query, begin, end) if measured.query else "",
    )


def _graph(source: PrometheusSettings, query: str, begin: int, end: int) -> str:
    """The expression on Prometheus' own page; "" for a source that asks for credentials or a tenant, which serves no page."""
    if source.username or source.tenant or source.bearer_token.get_secret_value():
        return ""
    return links.prometheus_graph(source.url, query, begin, end)


def _with_threshold(measured: Measure) -> str:
    """The expression as charted, with what it is compared with: as one line, to copy."""
    one_line = " ".join(measured.query.split())
    threshold = measured.threshold
    return f"{one_line} {threshold.operator} {_plain(threshold.value)}" if threshold and one_line else one_line


def _rule_words(alert: Alert) -> str:
    rule = alert.rule
    if rule is None:
        return ""
    held = f" for {whole_seconds(int(rule.for_s * SECOND))}" if rule.for_s else ""
    reading = promql.read(rule.query)
    if reading.others:
        return f"The whole rule: {' '.join(rule.query.split())}{held}."
    return f"It must hold{held} before it fires." if held else ""


def _plain(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _told(alert: Alert, name: str) -> str:
    found = annotation(alert, name)
    return found.text if found else ""


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}." if words else ""


def _state_words(alert: Alert, now_ns: UnixNanos) -> str:
    word = STATES[state_of(alert)]
    ended = alert.episode.ended_ns
    if ended is None:
        return word
    return f"{word} {clock(ended) if now_ns - ended < DAY else moment(ended)}"


def _since_words(alert: Alert, now_ns: UnixNanos) -> str:
    episode = alert.episode
    if episode.fired_ns is None:
        return f"pending for {whole_seconds(now_ns - episode.started_ns)}, since"
    length = whole_seconds((episode.ended_ns or now_ns) - episode.fired_ns)
    return f"fired {length} from" if episode.ended_ns is not None else f"for {length}, since"


def _facts(alert: Alert) -> list[str]:
    episode = alert.episode
    told = " and ".join(SOURCES[source] for source in episode.sources)
    facts = [f"{alert.name}, from {told}" if told else f"{alert.name}, kept by Clew"]
    if episode.receivers:
        facts.append(f"sent to {', '.join(episode.receivers[:3])}")
    if episode.suppressed:
        facts.append(
            f"silenced by {', '.join(episode.silenced_by[:2])}" if episode.silenced_by else "inhibited by another alert"
        )
    return facts


def _labels(alert: Alert, entities: tuple[Entity, ...]) -> tuple[LabelRow, ...]:
    named = {entity.label: entity for entity in entities}
    # The name and the severity first, as everybody looks for them there.
    order = sorted(alert.labels.items(), key=lambda pair: (pair[0] not in ("alertname", "severity"), pair[0]))
    return tuple(LabelRow(name, value, named.get(name)) for name, value in order if value)


def _before(alert: Alert, now_ns: UnixNanos) -> tuple[EpisodeRow, ...]:
    recent = [e for e in alert.episodes if e.fired_ns is not None and e.started_ns > now_ns - _BEFORE]
    recent.sort(key=lambda e: -e.started_ns)
    return tuple(_episode(alert, episode, now_ns) for episode in recent[:_MOST_BEFORE])


def _episode(alert: Alert, episode: Episode, now_ns: UnixNanos) -> EpisodeRow:
    start = episode.fired_ns or episode.started_ns
    peak = episode.peak if episode.peak is not None else episode.value
    return EpisodeRow(
        href=f"/alerts/{alert.key_of(episode)}",
        start_ns=start,
        lasted=whole_seconds((episode.ended_ns or now_ns) - start) + ("" if episode.ended_ns else " so far"),
        peak=figure(peak) if peak is not None else "not known",
        current=episode.started_ns == alert.episode.started_ns,
    )


def _near(seen: Seen, known: LabelMap) -> tuple[NearRow, ...]:
    """Other alerts that began, or lasted, around the time this one did; the nearest first."""
    own = seen.alert.episode
    began = own.fired_ns or own.started_ns
    found: list[tuple[int, NearRow]] = []
    for other in seen.board.alerts:
        if other.fingerprint == seen.alert.fingerprint:
            continue
        for episode in other.episodes:
            start = episode.fired_ns or episode.started_ns
            if abs(start - began) > _NEAR:
                continue
            entities = known.entities(other.labels)
            who = actor(entities) or service(entities)
            row = NearRow(
                href=f"/alerts/{other.key_of(episode)}",
                severity=other.severity.value,
                severity_word=other.labels.get("severity", "") or "no severity",
                name=other.name,
                who=who.value if who else "",
                start_ns=start,
            )
            found.append((abs(start - began), row))
    found.sort(key=lambda pair: pair[0])
    return tuple(row for _, row in found[:_MOST_NEAR])
