"""What is open now: alerts, cases, and how much Clew can see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.cases.model import Status, case_name
from app.cases.tables import CaseRow
from app.doctor import finding
from app.doctor.report import Report
from app.investigation.alerts import Alert, Severity
from app.investigation.board import Board
from app.investigation.entities import actor, service
from app.investigation.labels import LabelMap
from app.investigation.overview import figures
from app.investigation.overview.figures import Success
from app.investigation.overview.service import Answer
from app.investigation.summary import summary
from app.sources.values import AlertState
from app.times import UnixNanos, from_datetime
from app.web.formats import ago, clock, count
from app.web.views.alert_words import whole_seconds
from app.web.views.overview import Cell, PanelView, Place, percent, window_words

_MOST_ROWS = 8
_WORST = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


@dataclass(frozen=True)
class Figure:
    """One large number. href: where it leads, "" where there is nothing more."""

    term: str
    value: str
    gloss: str
    href: str = ""


@dataclass(frozen=True)
class NowView:
    """The sentence of the page, and the line of figures below it. at_ns: when it was so."""

    lede: str
    figures: tuple[Figure, ...]
    at_ns: UnixNanos


def now_view(
    place: Place,
    board: Board,
    cases: Mapping[Status, int],
    report: Report | None,
    checks: Answer[Success] | None,
    *,
    alerting: bool,
) -> NowView:
    """report: of the last check of coverage, None before one.  checks: None where their source did not answer.

    alerting: whether any source of alerts is set up.
    """
    firing = open_alerts(board)
    return NowView(
        lede=_lede(firing, cases, board, alerting),
        figures=(
            _firing(firing, board, alerting),
            _cases(cases),
            *_checks(place, checks),
            _coverage(report, board.now_ns),
        ),
        at_ns=board.now_ns,
    )


def open_alerts(board: Board) -> list[Alert]:
    """Those that fire and are not muted, the worst first, then the newest."""
    firing = [alert for alert in board.alerts if alert.state is AlertState.FIRING]
    return sorted(firing, key=lambda alert: (_WORST[alert.severity], -_since(alert)))


def _since(alert: Alert) -> UnixNanos:
    return alert.episode.fired_ns or alert.episode.started_ns


def _lede(firing: Sequence[Alert], cases: Mapping[Status, int], board: Board, alerting: bool) -> str:
    critical = sum(alert.severity is Severity.CRITICAL for alert in firing)
    if not alerting:
        alerts = "No source of alerts is set up"
    elif firing:
        alerts = f"{_number(len(firing), 'alert')} {'fires' if len(firing) == 1 else 'fire'}"
        alerts += f", {critical} of them critical" if critical and len(firing) > 1 else ", a critical one" if critical else ""
    else:
        alerts = "No alert fires" if board.whole else "No alert is known to fire, and not every source answered"
    unfinished = cases[Status.OPEN] + cases[Status.CONTAINED]
    return f"{alerts}; {_number(unfinished, 'case') if unfinished else 'no case'} {'is' if unfinished < 2 else 'are'} in hand."


def _firing(firing: Sequence[Alert], board: Board, alerting: bool) -> Figure:
    if not alerting:
        return Figure("Open alerts", "not known", "neither Prometheus nor Alertmanager is set up")
    tally = [
        f"{n} {severity.value}" for severity in _WORST if (n := sum(alert.severity is severity for alert in firing))
    ]  # fmt: skip
    silent = [*board.waiting, *dict.fromkeys(trouble.source for trouble in board.troubles)]
    gloss = ", ".join(tally) or ("none is known" if silent else "none fires")
    if silent:
        gloss = f"{gloss}; {' and '.join(silent)} did not answer"
    # A nought in large figures would be read as quiet.
    value = count(len(firing)) if firing or not silent else "not known"
    return Figure("Open alerts", value, gloss, "/alerts?state=firing")


def _cases(cases: Mapping[Status, int]) -> Figure:
    unfinished = cases[Status.OPEN] + cases[Status.CONTAINED]
    return Figure(
        "Open cases",
        count(unfinished),
        f"{count(cases[Status.OPEN])} open, {count(cases[Status.CONTAINED])} contained",
        "/cases",
    )


def _checks(place: Place, checks: Answer[Success] | None) -> tuple[Figure, Figure]:
    """Log-ins that worked, and refusals, in the window."""
    when = window_words(place.window)
    if checks is None:
        why = "their source did not answer"
        return Figure("Log-ins that succeed", "not known", why), Figure("Refused checks", "not known", why)
    logins = figures.summed(checks.figures.logins)
    both = figures.summed((*checks.figures.logins, *checks.figures.others))
    decided = round(logins.succeeded + logins.failed)
    return (
        Figure(
            "Log-ins that succeed", percent(logins.share), f"of {count(decided)} {when}" if decided else f"no log-in {when}"
        ),
        Figure("Refused checks", count(round(both.failed)), f"of {count(round(both.failed + both.succeeded))} decided {when}"),
    )


def _coverage(report: Report | None, now_ns: UnixNanos) -> Figure:
    if report is None:
        return Figure("Coverage", "not checked yet", "how much of the traffic Clew can judge", "/coverage")
    unchecked = f", {_number(report.score.unchecked, 'point')} not checked" if report.score.unchecked else ""
    found = _number(len(report.findings), "finding") if report.findings else "no findings"
    if broken := len(report.of(finding.Severity.BROKEN)):
        found = f"{broken} broken, {found}"
    return Figure(
        "Coverage", f"{report.score.value} of 100", f"{found}{unchecked}, {ago(report.checked_ns, now_ns)}", "/coverage"
    )


def alerts_panel(place: Place, board: Board, known: LabelMap, *, alerting: bool) -> PanelView:
    firing = open_alerts(board)
    notes = [f"{trouble.sentence} {trouble.missing}" for trouble in board.troubles]
    notes += [f"{source} has not answered yet." for source in board.waiting]
    if not firing:
        told = (
            ("No alert fires", "All sources of alerts answered.", (("Earlier alerts", "/alerts"),))
            if alerting and not notes
            else ("No alert is known to fire", "Not every source of alerts answered.", (("Alerts", "/alerts"),))
            if alerting
            else (
                "No source of alerts",
                "Set CLEW_PROMETHEUS__URL, CLEW_ALERTMANAGER__URL or both, and load the rules of deploy/prometheus.",
                (),
            )
        )
        return place.panel(empty=told, notes=tuple(notes))
    if len(firing) > _MOST_ROWS:
        notes.append(f"{count(len(firing) - _MOST_ROWS)} more on the page of alerts.")
    rows = []
    for alert in firing[:_MOST_ROWS]:
        since = _since(alert)
        entities = known.entities(alert.labels)
        who = actor(entities) or service(entities)
        rows.append(
            (
                Cell("", severity=alert.severity.value),
                Cell(alert.name, f"/alerts/{alert.key}", sub=summary(alert).text),
                Cell(who.value if who else "", name=True),
                Cell(whole_seconds(board.now_ns - since), num=True, sub=f"since {clock(since)[:5]}"),
            )
        )
    heads = (("Severity", ""), ("Alert", ""), ("Who or what", ""), ("For", "num"))
    return place.panel(heads=heads, rows=tuple(rows), open_table=True, notes=tuple(notes))


def cases_panel(
    place: Place, cases: Sequence[CaseRow], names: Mapping[str, str], unfinished: int, now_ns: UnixNanos
) -> PanelView:
    if not cases:
        told = "Open one from an alert or a trace with “Add to case”: its evidence then outlives the trace backend."
        return place.panel(empty=("No case is open", told, (("All cases", "/cases"),)))
    rows = tuple(
        (
            Cell("", severity=case.severity),
            Cell(case.title, f"/cases/{case_name(case.number)}", sub=f"{case_name(case.number)}, {case.status}"),
            Cell(names.get(case.assignee_id, "nobody") if case.assignee_id else "nobody"),
            Cell(ago(from_datetime(case.changed_at), now_ns), num=True),
        )
        for case in cases
    )
    more = f"{count(unfinished - len(cases))} more on the page of cases." if unfinished > len(cases) else ""
    heads = (("Severity", ""), ("Case", ""), ("Assigned to", ""), ("Changed", "num"))
    return place.panel(heads=heads, rows=rows, open_table=True, notes=(more,) if more else ())


def _number(n: int, thing: str) -> str:
    return f"{count(n)} {thing}{'' if n == 1 else 's'}"
