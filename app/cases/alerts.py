"""An alert as a case keeps it: the instance as its source reported it, with the stretches it was pending and firing."""

from __future__ import annotations

import msgspec

from app.cases.custody import digest_of
from app.cases.model import storable
from app.investigation.alerts import Alert, key, parse_key
from app.investigation.alerts import fingerprint as fingerprint_of
from app.investigation.service import as_firing, as_history
from app.sources.values import AlertHistory, AlertState, FiringAlert, Interval
from app.times import UnixNanos

_MAX_LABELS = 64
_MAX_VALUE = 2_000
_MAX_INTERVALS = 500  # an alert that flaps: its latest stretches are kept


class AlertSnapshot(msgspec.Struct, frozen=True):
    """One alert instance, frozen. It is known by `fingerprint` (of its labels) and `started_ns`.

    intervals: its history in order, as far as the source still had it; empty where only the present was known.
    query:     the rule's expression, "" where it was not to be had.
    read_ns:   when Clew read it from its source.
    """

    fingerprint: str
    source: str
    labels: dict[str, str]
    annotations: dict[str, str]
    state: AlertState
    started_ns: UnixNanos
    ended_ns: UnixNanos | None
    intervals: tuple[Interval, ...]
    query: str
    generator_url: str
    read_ns: UnixNanos

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "") or "Unnamed alert"

    @property
    def key(self) -> str:
        """What addresses its page; "" where its source's fingerprint has another form than Clew's."""
        made = key(self.fingerprint, self.started_ns)
        return made if parse_key(made) else ""

    @property
    def severity(self) -> str:
        return self.labels.get("severity", "")

    @property
    def summary(self) -> str:
        return self.annotations.get("summary") or self.annotations.get("description") or ""


def snapshot(alert: FiringAlert, *, read_ns: UnixNanos, history: AlertHistory | None = None, query: str = "") -> AlertSnapshot:
    """The alert as a case keeps it. One that came without a fingerprint gets one made of its labels."""
    labels = _capped(alert.labels)
    return AlertSnapshot(
        fingerprint=(alert.fingerprint or fingerprint_of(labels))[:64],
        source=alert.source,
        labels=labels,
        annotations=_capped(alert.annotations),
        state=alert.state,
        started_ns=alert.started_ns,
        ended_ns=alert.ended_ns,
        intervals=history.intervals[-_MAX_INTERVALS:] if history else (),
        query=storable(query)[:20_000],
        generator_url=storable(alert.generator_url)[:_MAX_VALUE],
        read_ns=read_ns,
    )


def of_episode(alert: Alert, *, read_ns: UnixNanos) -> AlertSnapshot:
    """The alert of an investigation as a case keeps it: the episode looked at, with the stretches that belong to it."""
    history = as_history(alert)
    mine = tuple(one for one in history.intervals if alert.episode.covers(one.start_ns, read_ns))
    if not mine:
        # An episode older than the history: what is remembered of it stands in.
        mine = as_history(msgspec.structs.replace(alert, intervals=(), episodes=(alert.episode,))).intervals
    return snapshot(
        as_firing(alert),
        read_ns=read_ns,
        history=msgspec.structs.replace(history, intervals=mine),
        query=alert.rule.query if alert.rule else "",
    )


def encode(kept: AlertSnapshot) -> str:
    return msgspec.json.encode(kept, order="sorted").decode()


def digest(encoded: str) -> str:
    """What the chain of custody holds an encoded snapshot to."""
    return digest_of({"snapshot": encoded})


def decode(text: str | bytes) -> AlertSnapshot:
    return msgspec.json.decode(text, type=AlertSnapshot)


def _capped(words: dict[str, str]) -> dict[str, str]:
    """Labels come from whoever pushed the alert: their number and length are bounded here, once."""
    first = sorted(words)[:_MAX_LABELS]
    return {storable(key)[:200]: storable(words[key])[:_MAX_VALUE] for key in first}
