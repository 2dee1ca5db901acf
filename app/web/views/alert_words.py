"""Words and small pictures that the list of alerts and the page of one share."""

from __future__ import annotations

from app.investigation import measure
from app.investigation.alerts import Alert, Source
from app.investigation.board import Board, Trouble
from app.sources.values import AlertState, SourceHealth
from app.times import DAY, SECOND, UnixNanos, format_duration
from app.web.formats import ago, clock, count, moment
from app.web.views.parts import Failure, SourceState

STATES = {"firing": "Firing", "pending": "Pending", "ended": "Ended", "muted": "Muted"}
SOURCES = {Source.PROMETHEUS: "Prometheus", Source.ALERTMANAGER: "Alertmanager", Source.WEBHOOK: "Webhook"}
_STATE = {
    AlertState.FIRING: "firing",
    AlertState.PENDING: "pending",
    AlertState.RESOLVED: "ended",
    AlertState.SUPPRESSED: "muted",
}
_MOST_BLOCKS = 60


def state_of(alert: Alert) -> str:
    """The word of the design for an alert's state: a key of STATES."""
    return _STATE[alert.state]


def unconfirmed(alert: Alert) -> str:
    """What must be known before the state of an alert is believed."""
    episode = alert.episode
    if not episode.confirmed and episode.seen_ns is not None:
        told = " and ".join(SOURCES[source] for source in episode.sources) or "its source"
        return f"as of {clock(episode.seen_ns)}; {told} does not confirm it now"
    if episode.interrupted:
        return "the evaluator was silent for a part of it"
    return ""


def source_states(board: Board, *, webhook: bool) -> tuple[SourceState, ...]:
    """The strip of sources: how fresh each is, or since when it fails."""
    found = [_source(health, board) for health in board.healths]
    if webhook:
        words = f"last told {ago(board.last_notice_ns, board.now_ns)}" if board.last_notice_ns else "no notification yet"
        found.append(SourceState("Webhook", "ok" if board.last_notice_ns else "off", words))
    return tuple(found)


def _source(health: SourceHealth, board: Board) -> SourceState:
    if not health.enabled:
        return SourceState(health.source, "off", "is not set up")
    if health.source in board.waiting:
        return SourceState(health.source, "off", "has not answered yet")
    trouble = next((trouble for trouble in board.troubles if trouble.source == health.source), None)
    if trouble is not None or health.failing_since_ns is not None:
        since = f"failing since {clock(health.failing_since_ns)}" if health.failing_since_ns else "failed"
        last = f", last answered {ago(health.last_success_ns, board.now_ns)}" if health.last_success_ns else ""
        return SourceState(health.source, "failing", f"{since}{last}")
    if health.last_success_ns is None:
        return SourceState(health.source, "off", "is being asked")
    return SourceState(health.source, "ok", ago(health.last_success_ns, board.now_ns))


def failure(trouble: Trouble, href: str) -> Failure:
    return Failure(
        sentence=trouble.sentence,
        still=trouble.missing,
        detail=trouble.detail,
        # A client that pauses after several failures says since when itself.
        since_ns=trouble.since_ns if "since" not in trouble.sentence else None,
        retry_href=href if trouble.retry else "",
    )


def lasted(start_ns: UnixNanos, end_ns: UnixNanos | None, now_ns: UnixNanos) -> str:
    length = whole_seconds((end_ns or now_ns) - start_ns)
    if end_ns is None:
        return length
    return f"{length}, until {clock(end_ns) if now_ns - end_ns < DAY else moment(end_ns)}"


def whole_seconds(ns: int) -> str:
    """A duration without fractions of a second: 16 min, 45 s."""
    seconds = max(0, ns) // SECOND
    if seconds < 60:
        return f"{seconds} s"
    return format_duration((seconds // 60 * 60 if seconds >= 600 else seconds) * SECOND)


def blocks(alert: Alert, now_ns: UnixNanos) -> tuple[tuple[float, float], ...]:
    """When it fired in the last 24 hours, in percent; neighbours that a strip cannot tell apart are one."""
    firing = [stretch for stretch in measure.stretches(alert) if stretch.state is AlertState.FIRING]
    found: list[tuple[float, float]] = []
    for start, end in ((stretch.start_ns, stretch.end_ns or now_ns) for stretch in firing):
        left, right = (max(0.0, min(100.0, 100 - (now_ns - at) / DAY * 100)) for at in (start, end))
        if right <= 0:
            continue
        if found and left - (found[-1][0] + found[-1][1]) < 0.3:
            found[-1] = (found[-1][0], max(found[-1][1], right - found[-1][0]))
        else:
            found.append((left, right - left))
    return tuple((round(left, 2), round(width, 2)) for left, width in found[-_MOST_BLOCKS:])


def number_of(number: int, word: str, plural: str = "") -> str:
    """3 alerts, 1 alert, 2 successes"""
    return f"{count(number)} {word if number == 1 else plural or word + 's'}"
