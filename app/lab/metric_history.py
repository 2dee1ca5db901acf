"""The metrics an earlier incident would have left in Prometheus, had it run then.

The recorded spans are counted by the same code that counts live ones, scrape by scrape on the incident's own clock, and
written into Prometheus as past samples. The recording rules and the alerts' expressions are then evaluated by Prometheus
itself over that past. Only the step from an expression to ALERTS (pending for the rule's `for`, then firing) is taken here,
because no tool of Prometheus replays alerting rules; `alert_series` says how.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import yaml

from app.lab.prometheus import Api
from app.lab.remote_write import STALE, Exemplar, Series
from app.times import MILLISECOND, SECOND, parse_duration
from app.traces.model import Span

JOB = "otel-security-metrics"
SCRAPE_S = 30
FAMILY = "otel_security_"

_SAMPLE = re.compile(
    r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*?)\})? (?P<value>\S+)(?: \S+)?"
    r"(?: # \{(?P<exemplar>.*?)\} (?P<at>\S+)(?: (?P<time>\S+))?)?"
)
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')


class Meter(Protocol):
    """Counts spans and shows the counts as Prometheus scrapes them. The backend's own span metrics are one."""

    def count(self, spans: Sequence[Span]) -> None: ...

    def exposition(self) -> str: ...


class Rule(msgspec.Struct, frozen=True):
    """A rule of a rules file: `record` or `alert` is set."""

    expr: str
    record: str = ""
    alert: str = ""
    for_s: float = 0.0
    labels: dict[str, str] = {}


def rules(path: Path) -> list[Rule]:
    """All rules of a file in order."""
    document: Any = yaml.safe_load(path.read_text())
    return [
        Rule(
            expr=rule["expr"],
            record=rule.get("record", ""),
            alert=rule.get("alert", ""),
            for_s=parse_duration(rule.get("for", "0s")) / SECOND,
            labels=rule.get("labels", {}),
        )
        for group in document["groups"]
        for rule in group["rules"]
    ]


def scrapes(spans: Iterable[Span], meter: Meter, *, instance: str, start_ns: int, end_ns: int) -> list[Series]:
    """Every series of the span metrics between two moments, with exemplars, and `up` beside them.

    A span counts from the scrape that follows its end.
    """
    waiting = sorted(spans, key=lambda span: span.end_ns)
    target = {"job": JOB, "instance": instance}
    samples: dict[str, list[tuple[int, float]]] = {}
    exemplars: dict[str, list[Exemplar]] = {}
    labels: dict[str, dict[str, str]] = {}
    ups: list[tuple[int, float]] = []
    position = 0
    for at_ns in range(start_ns, end_ns, SCRAPE_S * SECOND):
        until = position
        while until < len(waiting) and waiting[until].end_ns <= at_ns:
            until += 1
        meter.count(waiting[position:until])
        position = until
        at_ms = at_ns // MILLISECOND
        ups.append((at_ms, 1.0))
        for key, name, labelled, value, exemplar in _read(meter.exposition()):
            if key not in labels:
                labels[key] = {"__name__": name, **_labels(labelled), **target}
                samples[key], exemplars[key] = [], []
            samples[key].append((at_ms, value))
            # An exemplar is shown until the next one replaces it; Prometheus wants each once, in order of time.
            if exemplar and (not exemplars[key] or exemplars[key][-1].time_ms < exemplar.time_ms):
                exemplars[key].append(exemplar)
    found = [Series({"__name__": "up", **target}, _ended(ups, SCRAPE_S))]
    found += [Series(labels[key], _ended(samples[key], SCRAPE_S), exemplars[key]) for key in samples]
    return found


def write(api: Api, series: Sequence[Series], book: Sequence[Rule], *, start_ns: int, end_ns: int, step_s: float) -> int:
    """Write the scraped past, then what the rules make of it; how many alert instances it has. Errors: SourceError.

    step_s: the evaluation interval of the running Prometheus, so that past and present alerts have one rhythm.
    """
    api.write(series)
    # Up to the last scrape: past it the target is gone, and a rule about absence would speak.
    start_s, end_s = start_ns / SECOND, (end_ns - SCRAPE_S * SECOND) / SECOND
    for rule in book:
        if rule.record:
            answer = api.range(rule.expr, start_s, end_s, SCRAPE_S)
            api.write(
                [
                    Series({**labels, **rule.labels, "__name__": rule.record}, _ended(_ms(points), SCRAPE_S))
                    for labels, points in answer
                ]
            )
    alerts = []
    for rule in book:
        if rule.alert:
            for labels, points in api.range(rule.expr, start_s, end_s, step_s):
                alerts += alert_series(rule, labels, [time for time, _ in points], step_s)
    api.write(alerts)
    return sum(series.labels["__name__"] == "ALERTS_FOR_STATE" for series in alerts)


def alert_series(rule: Rule, labels: Mapping[str, str], times_s: Sequence[float], step_s: float) -> list[Series]:
    """ALERTS and ALERTS_FOR_STATE as Prometheus writes them, from the evaluations at which an expression had a result.

    An alert is active from the first evaluation with a result to the last without a gap; pending until it has been
    active for the rule's `for`, then firing; each state ends with a stale marker one evaluation later.
    """
    base = {name: value for name, value in labels.items() if name != "__name__"} | rule.labels | {"alertname": rule.alert}
    pending: list[tuple[int, float]] = []
    firing: list[tuple[int, float]] = []
    since: list[tuple[int, float]] = []
    for run in runs(times_s, step_s):
        active = run[0]
        waits = [round(time * 1000) for time in run if time - active < rule.for_s]
        fires = [round(time * 1000) for time in run if time - active >= rule.for_s]
        for target, at in ((pending, waits), (firing, fires)):
            target += _ended([(time_ms, 1.0) for time_ms in at], step_s)
        since += _ended([(round(time * 1000), float(int(active))) for time in run], step_s)
    states = (({"alertstate": "pending"}, pending), ({"alertstate": "firing"}, firing))
    found = [Series({**base, **state, "__name__": "ALERTS"}, points) for state, points in states if points]
    return [*found, Series({**base, "__name__": "ALERTS_FOR_STATE"}, since)] if since else found


def runs(times_s: Sequence[float], step_s: float) -> Iterator[list[float]]:
    """Stretches of evaluations without a gap between them."""
    run: list[float] = []
    for time in times_s:
        if run and time - run[-1] > 1.5 * step_s:
            yield run
            run = []
        run.append(time)
    if run:
        yield run


def _ended(points: list[tuple[int, float]], step_s: float) -> list[tuple[int, float]]:
    """The points and a stale marker where the next one would have been, so that no query reaches past the end."""
    return [*points, (points[-1][0] + round(step_s * 1000), STALE)] if points else []


def _ms(points: Sequence[tuple[float, float]]) -> list[tuple[int, float]]:
    return [(round(time * 1000), value) for time, value in points]


def _read(text: str) -> Iterator[tuple[str, str, str, float, Exemplar | None]]:
    """The span metrics of an OpenMetrics text: key, name, label text, value, exemplar."""
    for line in text.splitlines():
        if not line.startswith(FAMILY):
            continue
        found = _SAMPLE.fullmatch(line)
        if found is None:
            continue
        exemplar = None
        if found["exemplar"] and found["time"]:
            exemplar = Exemplar(_labels(found["exemplar"]), float(found["at"]), round(float(found["time"]) * 1000))
        labelled = found["labels"] or ""
        yield f"{found['name']}{{{labelled}}}", found["name"], labelled, float(found["value"]), exemplar


def _labels(text: str) -> dict[str, str]:
    return {name: re.sub(r"\\(.)", _unescape, value) for name, value in _LABEL.findall(text)}


def _unescape(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]
