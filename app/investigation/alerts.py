"""An alert as Clew knows it: one instance (a set of labels), its episodes, and what several sources said of them, merged.

Prometheus, Alertmanager, webhooks and Clew's own memory speak of the same alert in different words: Prometheus counts an
alert from the start of *pending*, Alertmanager from the start of *firing* and with more labels (external ones). `merge`
makes one alert of them and keeps who said what.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from app.investigation import gotemplate, promql
from app.sources.fingerprint import fingerprint as fingerprint
from app.sources.values import AlertHistory, AlertState, FiringAlert, Interval, Rule
from app.times import MINUTE, SECOND, UnixNanos

# Sources start and stop the clock at different moments of the same episode.
_TOLERANCE = MINUTE


class Source(enum.StrEnum):
    PROMETHEUS = "prometheus"
    ALERTMANAGER = "alertmanager"
    WEBHOOK = "webhook"


class Severity(enum.StrEnum):
    """The three that pages tell apart; see `severity` for which words mean which."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


_SEVERITIES = {
    **dict.fromkeys(("critical", "crit", "page", "pager", "fatal", "emergency", "alert", "disaster", "p1", "sev1", "high"),
                    Severity.CRITICAL),
    **dict.fromkeys(("warning", "warn", "error", "major", "medium", "ticket", "p2", "p3", "sev2"), Severity.WARNING),
}  # fmt: skip


def severity(labels: Mapping[str, str]) -> Severity:
    """Of the `severity` label's many words; none, and words nobody agreed on, are info."""
    return _SEVERITIES.get(labels.get("severity", "").strip().lower(), Severity.INFO)


class Episode(msgspec.Struct, frozen=True):
    """One time that an alert was pending or firing, from its start to its end.

    started_ns:  the start of pending where a source knows it, else of firing.
    fired_ns:    the start of firing; None while it is only pending.
    ended_ns:    None while it lasts.
    key:         set where Clew has kept this episode: what links to it are made of.
    value, peak: the measured value as last told, and the farthest it went.
    interrupted: the evaluator fell silent during it, so that part of it is not known.
    began_before: it had begun before the window that was looked at; the true start is earlier.
    seen_ns:     when a source last confirmed it.
    confirmed:   False where the sources that told of it do not answer now: it may have ended since `seen_ns`.
    """

    started_ns: UnixNanos
    fired_ns: UnixNanos | None = None
    ended_ns: UnixNanos | None = None
    key: str = ""
    sources: tuple[Source, ...] = ()
    annotations: dict[str, str] = {}
    value: float | None = None
    peak: float | None = None
    suppressed: bool = False
    silenced_by: tuple[str, ...] = ()
    receivers: tuple[str, ...] = ()
    generator_url: str = ""
    interrupted: bool = False
    began_before: bool = False
    seen_ns: UnixNanos | None = None
    confirmed: bool = True

    def covers(self, at_ns: int, now_ns: int, *, tolerance: int = _TOLERANCE) -> bool:
        return self.started_ns - tolerance <= at_ns <= (self.ended_ns or now_ns) + tolerance

    def overlaps(self, other: Episode, now_ns: int) -> bool:
        return (
            self.started_ns - _TOLERANCE <= (other.ended_ns or now_ns)
            and other.started_ns - _TOLERANCE <= (self.ended_ns or now_ns)
        )  # fmt: skip


class Alert(msgspec.Struct, frozen=True):
    """One alert instance, seen at one of its episodes.

    labels:    the stable ones, by which it is the same alert again.
    episode:   the one looked at: the latest, unless another was asked for.
    episodes:  all that the sources and Clew's memory know in the window, the oldest first.
    rule:      the rule as loaded now, None where Prometheus did not tell; `rules_alike` counts those that would fit.
    intervals: pending and firing stretches in the window, for the history strip.
    """

    fingerprint: str
    labels: dict[str, str]
    episode: Episode
    episodes: tuple[Episode, ...]
    rule: Rule | None = None
    rules_alike: int = 0
    intervals: tuple[Interval, ...] = ()

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "") or "Unnamed alert"

    @property
    def key(self) -> str:
        return self.key_of(self.episode)

    def key_of(self, episode: Episode) -> str:
        return episode.key or key(self.fingerprint, episode.started_ns)

    @property
    def severity(self) -> Severity:
        return severity(self.labels)

    @property
    def state(self) -> AlertState:
        return state(self.episode)

    @property
    def sources(self) -> tuple[Source, ...]:
        return self.episode.sources

    def at(self, started_ns: int, now_ns: int) -> Alert | None:
        """The same alert at the episode that `started_ns` lies in, the one that starts nearest; None where there is none."""
        fitting = [episode for episode in self.episodes if episode.covers(started_ns, now_ns)]
        if not fitting:
            return None
        return msgspec.structs.replace(self, episode=min(fitting, key=lambda e: abs(e.started_ns - started_ns)))


def state(episode: Episode) -> AlertState:
    if episode.ended_ns is not None:
        return AlertState.RESOLVED
    if episode.suppressed:
        return AlertState.SUPPRESSED
    return AlertState.PENDING if episode.fired_ns is None else AlertState.FIRING


class Kept(msgspec.Struct, frozen=True):
    """An episode from Clew's memory, or from a webhook that was received."""

    fingerprint: str
    labels: dict[str, str]
    episode: Episode


class Told(msgspec.Struct, frozen=True):
    """Everything that was said of alerts in a window; a source that failed said nothing and is not among `answered`."""

    live: Sequence[FiringAlert] = ()
    history: Sequence[AlertHistory] = ()
    alertmanager: Sequence[FiringAlert] = ()
    kept: Sequence[Kept] = ()
    rules: Sequence[Rule] = ()
    answered: frozenset[Source] = frozenset()


def key(print_: str, started_ns: int) -> str:
    """What addresses one episode: fingerprint and start, to the second."""
    return f"{print_}-{started_ns // SECOND}"


def parse_key(text: str) -> tuple[str, UnixNanos] | None:
    """Fingerprint and start of a key; None for what is none."""
    print_, _, seconds = text.partition("-")
    if len(print_) != 16 or not set(print_) <= set("0123456789abcdef") or not (seconds.isascii() and seconds.isdigit()):
        return None
    return (print_, UnixNanos(int(seconds) * SECOND)) if len(seconds) <= 11 else None


def rule_for(labels: Mapping[str, str], rules: Iterable[Rule]) -> tuple[Rule | None, int]:
    """The alerting rule that made an alert with these labels, and how many would fit: rules may share a name."""
    fitting = [
        rule for rule in rules if rule.kind == "alerting" and rule.name == labels.get("alertname") and _made(rule, labels)
    ]
    return (fitting[0] if fitting else None), len(fitting)


def _made(rule: Rule, labels: Mapping[str, str]) -> bool:
    return all("{{" in value or not value or labels.get(name) == value for name, value in rule.labels.items())


def stable_labels(labels: Mapping[str, str], rule: Rule | None) -> dict[str, str]:
    """Without labels that the rule writes the measured value into: each value would be another alert."""
    moving = {name for name, template in rule.labels.items() if _speaks_of_value(template)} if rule else set()
    return {name: value for name, value in labels.items() if name not in moving and name not in ("alertstate", "__name__")}


def _speaks_of_value(template: str) -> bool:
    if "{{" not in template:
        return False
    places = gotemplate.parts(template)
    # A form not known here counts as moving where it names the value at all.
    return gotemplate.needs_value(template) if places is not None else ("$value" in template or ".Value" in template)


def episodes(intervals: Sequence[Interval], evaluation_s: float) -> list[Episode]:
    """Stretches to episodes: pending followed by firing is one; a new pending after firing begins another.

    A stretch after an outage goes on with the episode before it, which is then marked interrupted.
    """
    gap = int(max(evaluation_s, 1.0) * 1.5 * SECOND)
    found: list[Episode] = []
    fired_last = False
    for stretch in sorted(intervals, key=lambda i: i.start_ns):
        firing = stretch.state is AlertState.FIRING
        last = found[-1] if found else None
        goes_on = last is not None and (
            stretch.after_outage
            or (last.ended_ns is not None and stretch.start_ns - last.ended_ns <= gap and (firing or not fired_last))
        )
        if goes_on and last is not None:
            found[-1] = msgspec.structs.replace(
                last,
                ended_ns=stretch.end_ns,
                fired_ns=last.fired_ns if last.fired_ns is not None else (stretch.start_ns if firing else None),
                interrupted=last.interrupted or stretch.after_outage,
            )
        else:
            found.append(
                Episode(
                    started_ns=stretch.start_ns,
                    fired_ns=stretch.start_ns if firing else None,
                    ended_ns=stretch.end_ns,
                    sources=(Source.PROMETHEUS,),
                    began_before=stretch.began_before,
                )
            )
        fired_last = firing
    # What was pending for a while and never fired was no alert.
    return [episode for episode in found if episode.fired_ns is not None or episode.ended_ns is None]


def merge(told: Told, *, now_ns: UnixNanos) -> list[Alert]:
    """One alert per instance, each at its latest episode; in no particular order."""
    instances: dict[str, _Instance] = {}

    def instance(labels: Mapping[str, str]) -> _Instance:
        rule, alike = rule_for(labels, told.rules)
        stable = stable_labels(labels, rule)
        return instances.setdefault(fingerprint(stable), _Instance(stable, rule, alike))

    for history in told.history:
        instance(history.labels).past(history)
    for known in instances.values():
        known.episodes = episodes(known.intervals, known.evaluation_s)
    for alert in told.live:
        instance(alert.labels).now(alert, now_ns)
    if Source.PROMETHEUS in told.answered:
        live = {instance(alert.labels).fingerprint for alert in told.live}
        for known in instances.values():
            if known.fingerprint not in live:
                known.close(now_ns)
    from_prometheus = list(instances.values())
    for alert in told.alertmanager:
        (_widest_within(from_prometheus, alert.labels) or instance(alert.labels)).reported(alert, now_ns)
    for kept in told.kept:
        same = instances.get(kept.fingerprint) or _widest_within(instances.values(), kept.labels)
        if same is None:
            rule, alike = rule_for(kept.labels, told.rules)
            same = instances.setdefault(kept.fingerprint, _Instance(dict(kept.labels), rule, alike, kept.fingerprint))
        same.remembered(kept.episode, told.answered, now_ns)
    return [known.alert() for known in instances.values() if known.episodes]


def _widest_within(instances: Iterable[_Instance], labels: Mapping[str, str]) -> _Instance | None:
    """The instance with the most labels of which all are among `labels`: Alertmanager adds external labels."""
    fitting = [known for known in instances if known.labels.items() <= labels.items()]
    return max(fitting, key=lambda known: len(known.labels), default=None)


class _Instance:
    """What has been gathered of one alert while `merge` works."""

    def __init__(self, labels: dict[str, str], rule: Rule | None, alike: int, print_: str = "") -> None:
        self.labels = labels
        self.rule = rule
        self.alike = alike
        self.fingerprint = print_ or fingerprint(labels)
        self.episodes: list[Episode] = []
        self.intervals: list[Interval] = []
        self.evaluation_s = 0.0

    def alert(self) -> Alert:
        ordered = tuple(sorted(self.episodes, key=lambda e: e.started_ns))
        # The latest, and one that lasts before one that has ended.
        latest = max(ordered, key=lambda e: (e.ended_ns is None, e.started_ns))
        return Alert(
            fingerprint=self.fingerprint,
            labels=self.labels,
            episode=latest,
            episodes=ordered,
            rule=self.rule,
            rules_alike=self.alike,
            intervals=tuple(sorted(self.intervals, key=lambda i: i.start_ns)),
        )

    def past(self, history: AlertHistory) -> None:
        # Of an alert with the value in a label, each value has a history of its own: they are one.
        self.intervals += history.intervals
        self.evaluation_s = max(self.evaluation_s, history.evaluation_s)

    def close(self, now_ns: UnixNanos) -> None:
        """Prometheus answered and no longer lists it: what its history left open has just ended."""
        self.episodes = [_with(e, ended_ns=now_ns) if e.ended_ns is None else e for e in self.episodes]

    def now(self, alert: FiringAlert, now_ns: UnixNanos) -> None:
        fired = None
        if alert.state is not AlertState.PENDING:
            held = int((self.rule.for_s if self.rule else 0.0) * SECOND)
            fired = UnixNanos(min(alert.started_ns + held, now_ns))
        fresh = Episode(
            started_ns=alert.started_ns,
            fired_ns=fired,
            sources=(Source.PROMETHEUS,),
            annotations=alert.annotations,
            value=alert.value,
            peak=alert.value,
            generator_url=alert.generator_url,
            seen_ns=now_ns,
        )
        before = self._same(fresh, now_ns, latest=True)
        if before is None:
            self.episodes.append(fresh)
            return
        index, old = before
        # The list of live alerts is newer than the history; the history knows when firing really began.
        self.episodes[index] = _with(
            old,
            started_ns=min(old.started_ns, fresh.started_ns) if not old.began_before else fresh.started_ns,
            fired_ns=old.fired_ns if old.fired_ns is not None else fresh.fired_ns,
            ended_ns=None,
            annotations=fresh.annotations or old.annotations,
            value=fresh.value if fresh.value is not None else old.value,
            peak=_farther(old.peak, fresh.value, self.rule),
            generator_url=fresh.generator_url or old.generator_url,
            began_before=False,
            seen_ns=now_ns,
        )

    def reported(self, alert: FiringAlert, now_ns: UnixNanos) -> None:
        """What Alertmanager says now: it lists only what fires, and knows who silenced it."""
        fresh = Episode(
            started_ns=alert.started_ns,
            fired_ns=alert.started_ns,
            ended_ns=alert.ended_ns,
            sources=(Source.ALERTMANAGER,),
            annotations=alert.annotations,
            suppressed=alert.state is AlertState.SUPPRESSED,
            silenced_by=alert.silenced_by,
            receivers=alert.receivers,
            generator_url=alert.generator_url,
            seen_ns=now_ns,
        )
        before = self._same(fresh, now_ns, latest=True)
        if before is None:
            self.episodes.append(fresh)
            return
        index, old = before
        self.episodes[index] = _with(
            old,
            sources=_both(old.sources, fresh.sources),
            annotations=old.annotations or fresh.annotations,
            suppressed=fresh.suppressed,
            silenced_by=fresh.silenced_by,
            receivers=fresh.receivers,
            generator_url=old.generator_url or fresh.generator_url,
        )

    def remembered(self, kept: Episode, answered: frozenset[Source], now_ns: UnixNanos) -> None:
        before = self._same(kept, now_ns)
        if before is None:
            self.episodes.append(_settled(kept, answered))
            return
        index, old = before
        self.episodes[index] = _with(
            old,
            key=old.key or kept.key,
            started_ns=kept.started_ns if old.began_before else min(old.started_ns, kept.started_ns),
            fired_ns=old.fired_ns if old.fired_ns is not None else kept.fired_ns,
            ended_ns=old.ended_ns if old.ended_ns is not None or old.seen_ns is not None else kept.ended_ns,
            sources=_both(old.sources, kept.sources),
            annotations=old.annotations or kept.annotations,
            value=old.value if old.value is not None else kept.value,
            peak=_farther(old.peak, kept.peak, self.rule),
            generator_url=old.generator_url or kept.generator_url,
            began_before=False,
        )

    def _same(self, other: Episode, now_ns: int, *, latest: bool = False) -> tuple[int, Episode] | None:
        """The known episode that `other` speaks of: of those that overlap, the one that began nearest to it."""
        fitting = [(index, e) for index, e in enumerate(self.episodes) if e.overlaps(other, now_ns)]
        if latest and fitting:
            # Something that lasts now can only be the last one.
            fitting = [max(fitting, key=lambda pair: pair[1].started_ns)]
        begun = other.fired_ns or other.started_ns
        return min(fitting, key=lambda pair: abs((pair[1].fired_ns or pair[1].started_ns) - begun), default=None)


def _settled(kept: Episode, answered: frozenset[Source]) -> Episode:
    """A remembered episode that no source mentions: over, where a source that would know has answered."""
    if kept.ended_ns is not None:
        return kept
    if any(source in answered for source in kept.sources):
        return _with(kept, ended_ns=kept.seen_ns or kept.started_ns)
    return _with(kept, confirmed=False)


def _with(episode: Episode, **changes: object) -> Episode:
    return msgspec.structs.replace(episode, **changes)


def _both(first: tuple[Source, ...], second: tuple[Source, ...]) -> tuple[Source, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def _farther(first: float | None, second: float | None, rule: Rule | None) -> float | None:
    """Of two values the one farther beyond the threshold: the larger, unless the rule fires on small ones."""
    known = [value for value in (first, second) if value is not None]
    if len(known) < 2:
        return known[0] if known else None
    return min(known) if rule is not None and _fires_below(rule) else max(known)


def _fires_below(rule: Rule) -> bool:
    threshold = promql.read(rule.query).threshold
    return threshold is not None and threshold.operator in ("<", "<=")
