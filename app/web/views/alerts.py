"""The list of alerts: filters from the address, groups of rows, and the words for every state that it can be in."""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
from collections import Counter
from collections.abc import Iterable, Sequence

from app.investigation import summary
from app.investigation.alerts import Alert, Severity
from app.investigation.board import Board
from app.investigation.conditions import bare_address
from app.investigation.entities import Entity, EntityKind, actor, service
from app.investigation.labels import LabelMap
from app.times import DAY, MINUTE, UnixNanos
from app.web.formats import ago, clock, count, cut, moment
from app.web.views.alert_words import (
    SOURCES,
    STATES,
    blocks,
    failure,
    lasted,
    number_of,
    source_states,
    state_of,
    unconfirmed,
    whole_seconds,
)
from app.web.views.alerts_asked import FACETS, GROUPS, WINDOWS, Asked
from app.web.views.parts import Choice, Failure, SourceState

_SEVERITIES = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)
_MOST_ROWS = 200
_MOST_CHOICES = 12


@dataclasses.dataclass(frozen=True)
class Row:
    """One alert.

    who:      the entity to show beside the name, None where the group's head says it already
    lasted:   "16 min", "34 min, until 02:51:30"
    note:     what must be known before the state is believed, "" otherwise
    times:    episodes in the last 24 hours
    before:   the one before this: its address and when it fired, None where there is none in these hours
    blocks:   the strip: (start, width) in percent of the last 24 hours
    mark:     changes when something a reader would notice has changed
    """

    key: str
    href: str
    name: str
    summary: str
    severity: str
    severity_word: str
    state: str
    state_words: str
    who: Entity | None
    since_ns: UnixNanos
    since_style: str
    lasted: str
    note: str
    times: int
    before: tuple[str, UnixNanos] | None
    blocks: tuple[tuple[float, float], ...]
    strip_words: str
    mark: str


@dataclasses.dataclass(frozen=True)
class Group:
    """title_entity: what the group has in common, as an entity; None where the title says it all."""

    id: str
    title: str
    rows: tuple[Row, ...]
    common: tuple[tuple[str, str], ...]
    told_by: str

    @property
    def count(self) -> str:
        return number_of(len(self.rows), "alert")


@dataclasses.dataclass(frozen=True)
class Nothing:
    """Why the list is empty, and the next step: (words, address, kind of button)."""

    title: str
    words: str
    actions: tuple[tuple[str, str, str], ...] = ()
    tone: str = ""


@dataclasses.dataclass(frozen=True)
class AlertsView:
    """lede:      what there is, in a sentence
    picks:     filters that are on: words, and the address without them
    left_out:  rows beyond those that a page shows
    rows_href: the fragment that refreshes this view
    """

    asked: Asked
    now_ns: UnixNanos
    lede: str
    sources: tuple[SourceState, ...]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]
    facets: tuple[tuple[str, tuple[Choice, ...]], ...]
    picks: tuple[tuple[str, str], ...]
    windows: tuple[tuple[str, str, bool], ...]
    groupings: tuple[tuple[str, str, bool], ...]
    groups: tuple[Group, ...]
    nothing: Nothing | None
    left_out: int
    rows_href: str
    waiting: bool

    @property
    def clear_href(self) -> str:
        return Asked(window=self.asked.window, group=self.asked.group).href()


def alerts_view(board: Board, asked: Asked, labels: LabelMap, *, webhook: bool) -> AlertsView:
    """The page for what is known and asked for. webhook: notifications are taken in."""
    known = [_Known(alert, labels, board.now_ns) for alert in board.alerts]
    shown = _shown(known, asked)
    words = WINDOWS[asked.window][2]
    return AlertsView(
        asked=asked,
        now_ns=board.now_ns,
        lede=_lede(known, words, board.now_ns),
        sources=source_states(board, webhook=webhook),
        failures=tuple(failure(trouble, asked.href()) for trouble in board.troubles),
        notes=tuple(_notes(board)),
        facets=_facets(known, asked),
        picks=tuple((f"{facet}: {_value_word(facet, value)}", without.href()) for facet, value, without in asked.filters),
        windows=tuple((label, asked.href(window=name), name == asked.window) for name, (_, label, _) in WINDOWS.items()),
        groupings=tuple((label, asked.href(group=name), name == asked.group) for name, label in GROUPS.items()),
        groups=_groups(shown[:_MOST_ROWS], asked),
        nothing=None if shown else _nothing(board, known, asked, words),
        left_out=max(0, len(shown) - _MOST_ROWS),
        rows_href=asked.href("/alerts/rows"),
        waiting=bool(board.waiting),
    )


def matching(board: Board, asked: Asked, labels: LabelMap) -> list[Alert]:
    """The alerts that pass the filters, in the order of the page without its groups."""
    return [one.alert for one in _shown([_Known(alert, labels, board.now_ns) for alert in board.alerts], asked)]


def _shown(known: Sequence[_Known], asked: Asked) -> list[_Known]:
    return sorted((one for one in known if one.matches(asked)), key=lambda one: one.order)


class _Known:
    """An alert with what the list asks of it."""

    def __init__(self, alert: Alert, labels: LabelMap, now_ns: UnixNanos) -> None:
        self.alert = alert
        self.now_ns = now_ns
        self.entities = labels.entities(alert.labels)
        self.actor = actor(self.entities)
        self.service = service(self.entities)
        self.state = state_of(alert)
        self.summary = summary.summary(alert).text

    @property
    def order(self) -> tuple[object, ...]:
        """What burns first: pending and firing before ended, worse before milder, newer before older."""
        live = {"firing": 0, "pending": 1, "muted": 2, "ended": 3}[self.state]
        return live, _SEVERITIES.index(self.alert.severity), -self.alert.episode.started_ns, self.alert.key

    def values(self, facet: str) -> tuple[str, ...]:
        match facet:
            case "severity":
                return (self.alert.severity.value,)
            case "state":
                return (self.state,)
            case "source":
                return tuple(source.value for source in self.alert.sources)
            case _:
                return (self.service.value,) if self.service else ()

    def matches(self, asked: Asked, *, without: str = "") -> bool:
        for facet in FACETS:
            wanted = asked.of(facet)
            if wanted and facet != without and not set(wanted) & set(self.values(facet)):
                return False
        if not asked.q or without == "text":
            return True
        said = " ".join([self.summary, *(f"{name}={value}" for name, value in self.alert.labels.items())]).casefold()
        return all(word in said for word in asked.q.casefold().split())

    def group(self, by: str) -> tuple[str, str]:
        """The group's key and title."""
        if by == "rule":
            return self.alert.name, self.alert.name
        if by == "none":
            return "", "All alerts"
        if self.actor is not None:
            return _whereabouts(self.actor)
        if self.service is not None:
            return f"service {self.service.value}", self.service.value
        job = self.alert.labels.get("job", "")
        return (f"job {job}", job) if job else ("other", "Other alerts")

    def row(self, by: str) -> Row:
        alert, episode = self.alert, self.alert.episode
        who = self.actor or self.service
        if by == "who" and who is not None and _group_says(self, who):
            # The head has said it; the next best is where.
            who = self.service if self.service is not who else None
        day_ago = self.now_ns - DAY
        today = [e for e in alert.episodes if e.fired_ns is not None and (e.ended_ns or self.now_ns) > day_ago]
        started = episode.fired_ns or episode.started_ns
        earlier = max((e for e in today if e.started_ns < episode.started_ns), key=lambda e: e.started_ns, default=None)
        return Row(
            key=alert.key,
            href=f"/alerts/{alert.key}",
            name=alert.name,
            summary=self.summary if self.summary != alert.name else "",
            severity=alert.severity.value,
            severity_word=alert.labels.get("severity", "") or "no severity",
            state=self.state,
            state_words=STATES[self.state],
            who=who,
            since_ns=started,
            since_style="clock" if self.now_ns - started < DAY else "moment",
            lasted=lasted(started, episode.ended_ns, self.now_ns),
            note=unconfirmed(alert),
            times=len(today),
            before=(f"/alerts/{alert.key_of(earlier)}", earlier.fired_ns or earlier.started_ns) if earlier else None,
            blocks=blocks(alert, self.now_ns),
            strip_words=f"{alert.name} fired {number_of(len(today), 'time')} in the last 24 hours",
            mark=_mark(self.state, episode.ended_ns, self.summary, alert.sources),
        )


def _mark(*seen: object) -> str:
    """A short word that differs where what a reader sees differs."""
    return hashlib.blake2s(repr(seen).encode("utf-8", "replace"), digest_size=6).hexdigest()


def _group_says(known: _Known, who: Entity) -> bool:
    return known.group("who")[1] in (who.value, f"From {who.value}", f"About {who.value}")


def _whereabouts(who: Entity) -> tuple[str, str]:
    """An address belongs to the group of its subnet."""
    value = who.value
    if who.kind is EntityKind.ADDRESS:
        try:
            address = ipaddress.ip_address(bare_address(value))
            value = str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))
        except ValueError:
            pass
    if who.kind in (EntityKind.ADDRESS, EntityKind.SUBNET):
        return f"from {value}", f"From {value}"
    return f"{who.kind} {value}", f"About {value}"


def _lede(known: Sequence[_Known], window: str, now_ns: UnixNanos) -> str:
    if not known:
        return f"None in {window}."
    firing = sum(one.state == "firing" for one in known)
    pending = sum(one.state == "pending" for one in known)
    live = f"{firing} firing" if firing else "none firing now"
    live += f", {pending} pending" if pending else ""
    newest = max(one.alert.episode.fired_ns or one.alert.episode.started_ns for one in known)
    return f"{count(len(known))} in {window}, {live}. The newest began {_minutes_ago(newest, now_ns)}."


def _minutes_ago(ns: int, now_ns: int) -> str:
    return ago(ns, now_ns) if now_ns - ns < MINUTE else f"{whole_seconds((now_ns - ns) // MINUTE * MINUTE)} ago"


def _notes(board: Board) -> list[str]:
    notes = []
    if board.waiting:
        notes.append(f"{' and '.join(board.waiting)} has not answered yet; this list is not whole.")
    for gap in board.gaps[:3]:
        notes.append(
            f"A notification of {moment(gap.received_ns)} to {cut(gap.receiver or 'the webhook', 40)} left out "
            f"{number_of(gap.missing, 'alert')} (max_alerts of its receiver)."
        )
    return notes


def _facets(known: Sequence[_Known], asked: Asked) -> tuple[tuple[str, tuple[Choice, ...]], ...]:
    """Counts of each value among the alerts that the other filters leave."""
    facets = []
    for facet in FACETS:
        here = [one for one in known if one.matches(asked, without=facet)]
        counts = Counter(value for one in here for value in one.values(facet))
        values = _values(facet, counts, asked)
        facets.append(
            (
                facet.capitalize(),
                tuple(
                    Choice(
                        words=_value_word(facet, value),
                        count=counts[value],
                        share=counts[value] / len(here) if here else 0.0,
                        href=asked.toggled(facet, value),
                        on=value in asked.of(facet),
                    )
                    for value in values
                ),
            )
        )
    return tuple((title, choices) for title, choices in facets if choices)


def _values(facet: str, counts: Counter[str], asked: Asked) -> list[str]:
    fixed: dict[str, Iterable[str]] = {
        "severity": [severity.value for severity in _SEVERITIES],
        "state": STATES,
        "source": [source.value for source in SOURCES],
    }
    if facet in fixed:
        return list(fixed[facet])
    frequent = [value for value, _ in counts.most_common(_MOST_CHOICES)]
    return [*frequent, *(value for value in asked.of(facet) if value not in frequent)]


def _value_word(facet: str, value: str) -> str:
    match facet:
        case "severity":
            return value.capitalize()
        case "state":
            return STATES.get(value, value)
        case "source":
            return next((word for source, word in SOURCES.items() if source.value == value), value)
        case _:
            return cut(value, 60)


def _groups(shown: Sequence[_Known], asked: Asked) -> tuple[Group, ...]:
    """Groups in the order of their first rows: what burns stands on top."""
    by_key: dict[str, list[_Known]] = {}
    titles: dict[str, str] = {}
    for one in shown:
        key, title = one.group(asked.group)
        by_key.setdefault(key, []).append(one)
        titles[key] = title
    return tuple(
        Group(
            id=f"group-{index}",
            title=titles[key],
            rows=tuple(one.row(asked.group) for one in members),
            common=_common(members),
            told_by=", ".join(_told_by(members)),
        )
        for index, (key, members) in enumerate(by_key.items(), 1)
    )


def _told_by(members: Sequence[_Known]) -> list[str]:
    told = {source for one in members for source in one.alert.sources}
    return [word for source, word in SOURCES.items() if source in told]


def _common(members: Sequence[_Known]) -> tuple[tuple[str, str], ...]:
    """Labels that all of a group have alike, said once at its foot."""
    if len(members) < 2:
        return ()
    first, *rest = (one.alert.labels for one in members)
    same = [(name, value) for name, value in first.items() if all(other.get(name) == value for other in rest)]
    return tuple((name, value) for name, value in same if name not in ("alertname", "severity") and value)[:6]


def _nothing(board: Board, known: Sequence[_Known], asked: Asked, window: str) -> Nothing:
    if known:
        return _hidden(known, asked)
    enabled = [health.source for health in board.healths if health.enabled and health.source != "Tempo"]
    if not enabled:
        return Nothing(
            "Connect Prometheus to begin",
            "Clew reads alerts from Prometheus and Alertmanager, and takes Alertmanager’s webhook. It changes nothing in them. "
            "Set CLEW_PROMETHEUS__URL and start Clew again.",
        )
    if board.waiting:
        return Nothing(
            "No alert yet", f"{' and '.join(board.waiting)} has not answered so far.", (("Look again", asked.href(), ""),)
        )
    failing = [trouble.source for trouble in board.troubles]
    longer = () if asked.window == "7d" else (("Show 7 days", asked.href(window="7d"), ""),)
    if failing:
        said = " and ".join(failing)
        return Nothing("No alert is known", f"{said} failed: silence here does not mean quiet.", longer, tone="error")
    at = clock(board.now_ns)
    alerting = sum(rule.kind == "alerting" for rule in board.rules)
    rules = f", with {number_of(alerting, 'alerting rule')} loaded" if "Prometheus" in enabled else ""
    return Nothing(f"No alerts in {window}", f"{' and '.join(enabled)} answered at {at}{rules}.", longer)


def _hidden(known: Sequence[_Known], asked: Asked) -> Nothing:
    """Filters hide everything: how many, and which one to drop to see the most."""
    filters = asked.filters
    freed = [
        (sum(one.matches(without) for one in known), f"{facet}: {_value_word(facet, value)}", without)
        for facet, value, without in filters
    ]
    best = max(freed, key=lambda option: option[0])
    actions = [("Clear all", Asked(window=asked.window, group=asked.group).href(), "quiet" if best[0] else "")]
    words = f"{number_of(len(known), 'alert')} {'is' if len(known) == 1 else 'are'} hidden."
    if best[0]:
        words += f" Without “{best[1]}” there {'is' if best[0] == 1 else 'are'} {best[0]}."
        actions.insert(0, (f"Remove “{best[1]}”", best[2].href(), ""))
    title = "No alert matches this filter" if len(filters) == 1 else f"No alert matches these {len(filters)} filters"
    return Nothing(title, words, tuple(actions))
