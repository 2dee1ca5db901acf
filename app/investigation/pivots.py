"""From an alert to the searches that find the traces behind it, in order of how much they prove.

1. Exemplars of the series that the rule measures: traces that were counted.
2. TraceQL from the alert's labels and from the matchers inside the rule: traces that fit the description.
3. The rule's own `trace_query`, where its author left one.
4. Time: whatever the same service decided in the window.

Every plan says why what it finds is listed, and what it could not make use of. Pure: values in, values out.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

import msgspec

from app.investigation import conditions, hint, promql
from app.investigation.alerts import Alert
from app.investigation.conditions import CannotAsk
from app.investigation.entities import Entity, EntityKind
from app.investigation.labels import Counter, LabelMap, Meaning
from app.investigation.promql import Matcher, Selector
from app.sources.values import Rule
from app.times import HOUR, MINUTE, SECOND, UnixNanos, format_duration
from app.traceql import nodes, write
from app.traceql.nodes import Expression

# Where a rule measures a momentary value, or cannot be read: how far before the alert its cause is looked for.
_DEFAULT_REACH = 5 * MINUTE
_LONGEST_REACH = 24 * HOUR
_MOST_EXEMPLAR_SELECTORS = 5


class Way(enum.StrEnum):
    """How candidates are searched for; the word stands in the page's address."""

    ANY = "any"  # labels match, whatever the outcome
    COUNTED = "counted"  # labels match, and the outcome is the one that the rule counted
    RULE = "rule"  # the rule's own trace_query
    TIME = "time"  # only service and time


class Window(msgspec.Struct, frozen=True):
    """The stretch of time whose requests can have caused the alert. `why` is a sentence."""

    start_ns: UnixNanos
    end_ns: UnixNanos
    why: str


class Search(msgspec.Struct, frozen=True):
    """One way to look for candidates.

    filter: the spans looked for; `query` is its text as it is sent and shown.
    why:    why a trace found by it is listed: "Labels match: subnet, service, time".
    """

    way: Way
    filter: nodes.Pipeline
    why: str

    @property
    def query(self) -> str:
        return write.write(nodes.Query(self.filter))

    @property
    def count_query(self) -> str:
        """The same spans counted by TraceQL metrics, by result: nothing of the search's own limits is in it."""
        by = nodes.OverTime(nodes.Measure.COUNT, by=(nodes.span("auth.result"),))
        return write.write(nodes.Query(self.filter, metrics=by))


class Tally(msgspec.Struct, frozen=True):
    """A Prometheus counter over the same requests, none of them sampled away. `selector` is PromQL."""

    counter: Counter
    selector: str


class Plan(msgspec.Struct, frozen=True):
    """Everything to ask to find the traces behind one alert.

    searches:  by way, the default first; empty where the alert speaks of no request.
    exemplars: PromQL selectors of the series behind the rule.
    entities:  what the labels name.
    notes:     sentences about what was not used, and why.
    """

    window: Window
    searches: tuple[Search, ...]
    exemplars: tuple[str, ...]
    tally: Tally | None
    entities: tuple[Entity, ...]
    notes: tuple[str, ...]

    def search(self, way: str | None) -> Search | None:
        """The way asked for, else the default; None where there is nothing to search by."""
        return next((search for search in self.searches if search.way == way), self.searches[0] if self.searches else None)


class _Condition(msgspec.Struct, frozen=True):
    """A label made a condition. `label` is "" for what a metric implies without a label."""

    label: str
    expression: Expression
    word: str
    outcome: bool = False
    entity: EntityKind | None = None
    matcher: Matcher | None = None


def plan(alert: Alert, *, rules: Sequence[Rule], labels: LabelMap, now_ns: UnixNanos) -> Plan:
    """What to ask for one alert.

    rules: all rules as loaded now; recording rules are followed to the series they are made of.
    """
    recorded = {rule.name: rule.query for rule in rules if rule.kind == "recording"}
    reading = promql.read(alert.rule.query) if alert.rule else promql.Reading(expression="")
    behind = promql.underlying(reading.selectors, recorded.get)
    notes = _Notes()
    if alert.rule is None:
        notes.add("Prometheus did not tell the rule, so nothing of what it measures could be used.")
    elif reading.problem:
        notes.add(reading.problem)
    elif alert.rules_alike > 1:
        notes.add(f"{alert.rules_alike} rules bear this name and fit these labels; the first was read.")

    conditions_ = _conditions(alert, behind, labels, notes)
    searches = _searches(alert, conditions_, behind, labels, notes)
    return Plan(
        window=window(alert, promql.reach_ns(reading.selectors, recorded.get), now_ns),
        searches=tuple(searches),
        exemplars=_exemplars(alert, behind, labels),
        tally=_tally(conditions_, labels),
        entities=labels.entities(alert.labels),
        notes=notes.sentences,
    )


def window(alert: Alert, reach_ns: int, now_ns: UnixNanos) -> Window:
    """From the rule's range before the start of pending to the end of firing, in whole seconds."""
    episode = alert.episode
    reach = min(reach_ns or _DEFAULT_REACH, _LONGEST_REACH)
    end = episode.ended_ns if episode.ended_ns is not None else now_ns
    start = (episode.started_ns - reach) // SECOND * SECOND
    why = f"From {format_duration(reach)} before it became pending"
    why += ", as far as the rule looks back" if reach_ns and reach == reach_ns else ""
    why += ", to its end." if episode.ended_ns is not None else ", until now."
    if reach_ns > _LONGEST_REACH:
        why += f" The rule looks back {format_duration(reach_ns)}; that would be too much to list."
    if episode.began_before:
        why += " It had begun before the time that its history reaches back to."
    end_s = max(-(-end // SECOND), start // SECOND + 1)
    return Window(UnixNanos(max(0, start)), UnixNanos(end_s * SECOND), why)


class _Notes:
    def __init__(self) -> None:
        self._said: dict[str, None] = {}

    def add(self, sentence: str) -> None:
        self._said[sentence] = None

    @property
    def sentences(self) -> tuple[str, ...]:
        return tuple(self._said)


def _conditions(alert: Alert, behind: Sequence[Selector], labels: LabelMap, notes: _Notes) -> list[_Condition]:
    """The alert's labels, then what the rule looks at, as conditions; each label once."""
    static = alert.rule.labels if alert.rule else {}
    made: dict[str, _Condition] = {}
    for label, value in alert.labels.items():
        # A label that the rule's author wrote describes the alert, also where it is called like an attribute.
        if value.strip() and not (label in static and label not in labels.meanings):
            _add(made, Matcher(label, "=", value), labels, notes)
    of_rule = [*_shared(behind, labels), *(Matcher(label, "=", value) for label, value in _implied(behind, labels).items())]
    for matcher in of_rule:
        if matcher.label not in made:
            _add(made, matcher, labels, notes)
    unknown = labels.unknown(name for name, value in alert.labels.items() if value and name not in static)
    if unknown:
        notes.add(f"Not used, because no attribute is known for it: {_listed(unknown)}.")
    return list(made.values())


def _add(made: dict[str, _Condition], matcher: Matcher, labels: LabelMap, notes: _Notes) -> None:
    meaning = labels.meaning(matcher.label)
    if meaning is None or matcher.label in labels.ignored:
        return
    try:
        expression = _expression(meaning, matcher)
    except CannotAsk as reason:
        notes.add(f"{_said(matcher)} was not used: {reason}.")
        return
    made[matcher.label] = _Condition(
        label=matcher.label,
        expression=expression,
        word=meaning.entity.value if meaning.entity else matcher.label.replace("_", " "),
        outcome=meaning.outcome,
        entity=meaning.entity,
        matcher=matcher,
    )


def _expression(meaning: Meaning, matcher: Matcher) -> Expression:
    match matcher.operator:
        case "=" if matcher.value:
            return conditions.equals(meaning, matcher.value)
        case "=~":
            return conditions.matching(meaning, matcher.value)
        case _:
            # A span without the attribute would be lost; without this condition only a little more is found.
            raise CannotAsk("a search for what is absent would lose spans that lack the attribute")


def _shared(behind: Sequence[Selector], labels: LabelMap) -> list[Matcher]:
    """Matchers that every series of the measure has to meet, and of outcomes those of the first: of a share of failures,
    the failures stand above the line."""
    if not behind:
        return []
    rest = [set(selector.matchers) for selector in behind[1:]]

    def counts(matcher: Matcher) -> bool:
        meaning = labels.meaning(matcher.label)
        return (meaning is not None and meaning.outcome) or all(matcher in others for others in rest)

    return [matcher for matcher in behind[0].matchers if counts(matcher)]


def _implied(behind: Sequence[Selector], labels: LabelMap) -> Mapping[str, str]:
    """Labels that all series behind the rule would carry, had their metrics them."""
    known = [metric.implies if (metric := labels.metric(selector.metric)) else {} for selector in behind]
    if not known:
        return {}
    return {label: value for label, value in known[0].items() if all(other.get(label) == value for other in known[1:])}


def _searches(
    alert: Alert, found: Sequence[_Condition], behind: Sequence[Selector], labels: LabelMap, notes: _Notes
) -> list[Search]:
    """The ways there are, the default first."""
    asked = [condition for condition in found if not condition.outcome]
    outcomes = [condition for condition in found if condition.outcome]
    searches: list[Search] = []
    if asked:
        spans = _auth_spans(found, behind, labels)
        words = _listed([*dict.fromkeys(condition.word for condition in asked), "time"])
        any_ = _search(Way.ANY, [*asked, *spans], f"Labels match: {words}")
        if outcomes:
            words = _listed([*dict.fromkeys(condition.word for condition in (*asked, *outcomes)), "time"])
            counted = _search(Way.COUNTED, [*asked, *outcomes], f"What the rule counts: {words}")
            # Narrowed to somebody, all that they did can be listed, and a success after failures is what one looks for.
            # Not narrowed, that would be everybody's successes.
            acts = any(condition.entity and Entity(condition.entity, "").acts for condition in asked)
            searches += [any_, counted] if acts else [counted, any_]
        else:
            searches.append(any_)
    elif outcomes:
        searches.append(_search(Way.COUNTED, outcomes, f"What the rule counts: {_listed([o.word for o in outcomes])}, time"))
    own = _own_query(alert, notes)
    if own is not None:
        searches.append(Search(Way.RULE, own.pipeline, "The rule’s own trace query, in its window"))
    services = [condition for condition in asked if condition.entity is EntityKind.SERVICE]
    words = "Same service, same time" if services else "Same time"
    by_time = _search(Way.TIME, [*services, _Condition("", conditions.auth_spans(), "auth")], words)
    return [*searches, by_time]


def _search(way: Way, found: Sequence[_Condition], why: str) -> Search:
    filter_ = nodes.span_filter(*(condition.expression for condition in found))
    return Search(way, nodes.Pipeline((filter_,)), why)


def _auth_spans(found: Sequence[_Condition], behind: Sequence[Selector], labels: LabelMap) -> list[_Condition]:
    """Only spans that the metric counts, where neither labels nor rule name the span."""
    names_span = any("name" in meaning.attributes for c in found if (meaning := labels.meaning(c.label)))
    counts_auth = any(metric.auth_spans for selector in behind if (metric := labels.metric(selector.metric)))
    return [_Condition("", conditions.counted_auth_spans(), "auth")] if counts_auth and not names_span else []


def _own_query(alert: Alert, notes: _Notes) -> nodes.Query | None:
    template = alert.rule.annotations.get(hint.ANNOTATION) if alert.rule else None
    text = alert.episode.annotations.get(hint.ANNOTATION)
    value = alert.episode.value if alert.episode.value is not None else alert.episode.peak
    try:
        if template:
            return hint.of_template(template, alert.labels, value)
        return hint.of_text(text, alert.labels) if text else None
    except hint.NotUsable as reason:
        notes.add(str(reason))
        return None


def _exemplars(alert: Alert, behind: Sequence[Selector], labels: LabelMap) -> tuple[str, ...]:
    """Selectors of the raw series, narrowed to the alert's labels. An exemplar's series has them, or it is another's.

    Of a share of failures, the series of the failures: an exemplar of all requests was not what tripped it.
    """
    outcomes = [s for s in behind if any(m and m.outcome for m in (labels.meaning(one.label) for one in s.matchers))]
    own = [
        Matcher(label, "=", value)
        for label, value in alert.labels.items()
        if label not in (alert.rule.labels if alert.rule else {}) and label != "alertname" and value
    ]
    selectors = []
    for selector in outcomes or behind:
        if selector.metric:
            named = {matcher.label for matcher in own}
            matchers = [*(m for m in selector.matchers if m.label not in named), *own]
            selectors.append(_promql(selector.metric, matchers))
    return tuple(dict.fromkeys(selectors))[:_MOST_EXEMPLAR_SELECTORS]


def _tally(found: Sequence[_Condition], labels: LabelMap) -> Tally | None:
    """The counter that counted the same requests, whatever their outcome; None where none has all the labels."""
    asked = [condition for condition in found if not condition.outcome]
    if not asked:
        return None
    for counter in labels.counters:
        if all(condition.label in counter.labels for condition in asked):
            matchers = [condition.matcher for condition in asked if condition.matcher]
            return Tally(counter, _promql(counter.metric, matchers))
    return None


def _promql(metric: str, matchers: Sequence[Matcher]) -> str:
    return f"{metric}{{{', '.join(str(matcher) for matcher in matchers)}}}" if matchers else metric


def _said(matcher: Matcher) -> str:
    text = str(matcher)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _listed(words: Sequence[str]) -> str:
    shown = list(words[:8])
    return ", ".join(shown) + (f" and {len(words) - 8} more" if len(words) > 8 else "")
