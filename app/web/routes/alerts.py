"""Alerts: the list and its rows, one alert, its chart, and the traces behind it."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from app.cases.alerts import of_episode
from app.cases.model import case_name
from app.cases.store import cases_of_alert
from app.db.session import Database
from app.errors import SourceError
from app.investigation.candidates import Order
from app.investigation.measure import Measure, Range
from app.investigation.service import FIRST_LOOK_S, Investigation, Seen
from app.investigation.summary import summary
from app.security.roles import Permission
from app.settings import Settings
from app.times import UnixNanos
from app.web import render
from app.web.deps import Now, TheDatabase, TheSettings, needs
from app.web.views.alert import ChartView, alert_view, chart_view
from app.web.views.alert_traces import Asked as TracesAsked
from app.web.views.alert_traces import TracesView, traces_view
from app.web.views.alerts import alerts_view
from app.web.views.alerts_asked import GROUPS, WINDOWS, Asked
from app.web.views.parts import Failure

router = APIRouter(include_in_schema=False)

# A fragment shows what is judged by then and asks again; a reader without script waits for most of it.
_FRAGMENT_S = 1.5
_NO_SCRIPT_S = 12.0
_CHART_S = 1.2
_ROWS_S = 6.0
_CASES = 5  # cases named beside an alert

Values = Annotated[list[str], Query(max_length=50)]
Word = Annotated[str, Query(max_length=200)]
Key = Annotated[str, Path(max_length=40)]


def _investigation(request: Request) -> Investigation:
    investigation: Investigation = request.app.state.investigation
    return investigation


TheInvestigation = Annotated[Investigation, Depends(_investigation)]


async def _asked(
    window: Word = "24h",
    group: Word = "who",
    q: Word = "",
    severity: Values = [],  # noqa: B006 - FastAPI copies it
    state: Values = [],  # noqa: B006
    source: Values = [],  # noqa: B006
    service: Values = [],  # noqa: B006
) -> Asked:
    """The address's filters; a word that means nothing here is left out, so that an old link still opens."""
    return Asked(
        window=window if window in WINDOWS else "24h",
        group=group if group in GROUPS else "who",
        q=q.strip(),
        severity=_once(severity),
        state=_once(state),
        source=_once(source),
        service=_once(service),
    )


async def _traces_asked(
    by: Word = "",
    order: Word = Order.UNUSUAL.value,
    verdict: Word = "",
    reason: Word = "",
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> TracesAsked:
    known = order if order in list(Order) else Order.UNUSUAL.value
    return TracesAsked(way=by, order=Order(known), verdict=verdict, reason=reason, page=page)


AskedFor = Annotated[Asked, Depends(_asked)]
TracesAskedFor = Annotated[TracesAsked, Depends(_traces_asked)]


@router.get("/alerts", dependencies=[needs(Permission.READ)])
async def index(
    request: Request, asked: AskedFor, investigation: TheInvestigation, settings: TheSettings, now: Now
) -> Response:
    board = await investigation.board(WINDOWS[asked.window][0], now_ns=now, wait_s=FIRST_LOOK_S)
    view = alerts_view(board, asked, investigation.labels, webhook=_has_webhook(settings))
    return render.page(request, "alerts/index.html", view)


@router.get("/alerts/rows", dependencies=[needs(Permission.READ)])
async def rows(request: Request, asked: AskedFor, investigation: TheInvestigation, settings: TheSettings, now: Now) -> Response:
    """The changing part of the list: it waits for every source, though not for one that hangs."""
    board = await investigation.board(WINDOWS[asked.window][0], now_ns=now, wait_s=_ROWS_S)
    view = alerts_view(board, asked, investigation.labels, webhook=_has_webhook(settings))
    if not render.is_fragment(request):
        return render.page(request, "alerts/index.html", view)
    return render.fragment(request, "alerts/index.html", "board", view)


@router.get("/alerts/{key}", dependencies=[needs(Permission.READ)])
async def show(
    request: Request, key: Key, investigation: TheInvestigation, settings: TheSettings, database: TheDatabase, now: Now,
    range: Word = "around",
) -> Response:  # fmt: skip
    seen = await investigation.alert(key, now_ns=now, wait_s=FIRST_LOOK_S)
    span = _range(range)
    measured = await _soon(investigation, seen, span)
    view = alert_view(
        seen, settings, investigation.labels, span=span, query=_traces_query(request), measured=measured,
        cases=await _cases(database, seen, now), webhook=_has_webhook(settings),
    )  # fmt: skip
    return render.page(request, "alerts/show.html", view, charts=True)


@dataclasses.dataclass(frozen=True)
class ChartPart:
    """What the chart's block sees."""

    chart: ChartView | None
    chart_failure: Failure | None
    chart_href: str = ""


@router.get("/alerts/{key}/chart", dependencies=[needs(Permission.READ)])
async def chart(
    request: Request, key: Key, investigation: TheInvestigation, settings: TheSettings, now: Now, range: Word = "around"
) -> Response:
    """The chart where the page did not wait for it."""
    seen = await investigation.alert(key, now_ns=now)
    measured = await investigation.measure(seen, _range(range), now_ns=now)
    part = (
        ChartPart(chart_view(seen.alert, measured, settings, now), None)
        if isinstance(measured, Measure)
        else ChartPart(None, Failure.of(measured, still="Labels and state do not depend on it.", retry_href=f"/alerts/{key}"))
    )
    return render.fragment(request, "alerts/show.html", "chart", part)


@dataclasses.dataclass(frozen=True)
class TracesPart:
    """What the traces' block sees."""

    traces: TracesView
    traces_href: str


@router.get("/alerts/{key}/traces", dependencies=[needs(Permission.READ)])
async def traces(
    request: Request, key: Key, asked: TracesAskedFor, investigation: TheInvestigation, settings: TheSettings,
    database: TheDatabase, now: Now,
) -> Response:  # fmt: skip
    """The traces behind the alert: as a part of its page, or with the whole page for a reader without script."""
    seen = await investigation.alert(key, now_ns=now)
    part = render.is_fragment(request)
    found = await investigation.behind(seen, asked.way or None, now_ns=now, deadline_s=_FRAGMENT_S if part else _NO_SCRIPT_S)
    view = traces_view(seen.alert.key, seen.plan, found, asked)
    investigation.walks.shown(seen.alert.key, summary(seen.alert).text, view.walk)
    if part:
        return render.fragment(request, "alerts/show.html", "traces", TracesPart(view, view.here))
    measured = await _soon(investigation, seen, Range.AROUND)
    whole = alert_view(
        seen, settings, investigation.labels, span=Range.AROUND, query=_traces_query(request), measured=measured,
        cases=await _cases(database, seen, now), traces=view, webhook=_has_webhook(settings),
    )  # fmt: skip
    return render.page(request, "alerts/show.html", whole, charts=True)


async def _cases(database: Database, seen: Seen, now_ns: UnixNanos) -> tuple[str, ...]:
    """The cases that hold this episode of the alert."""
    kept = of_episode(seen.alert, read_ns=now_ns)
    async with database.reading() as db:
        return tuple(case_name(case.number) for case in (await cases_of_alert(db, kept.fingerprint, kept.started_ns))[:_CASES])


async def _soon(investigation: Investigation, seen: Seen, span: Range) -> Measure | SourceError | None:
    """The chart's data, if it comes in time to be part of the page."""
    task = asyncio.ensure_future(investigation.measure(seen, span, now_ns=seen.board.now_ns))
    done, _ = await asyncio.wait([task], timeout=_CHART_S)
    if done:
        return task.result()
    task.cancel()
    return None


def _traces_query(request: Request) -> str:
    """The part of the address that speaks of the traces."""
    return "&".join(
        part for part in request.url.query.split("&") if part.split("=")[0] in ("by", "order", "verdict", "reason", "page")
    )


def _range(word: str) -> Range:
    return Range(word) if word in list(Range) else Range.AROUND


def _once(values: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value[:200] for value in values if value))


def _has_webhook(settings: Settings) -> bool:
    return bool(settings.alertmanager.webhook_token.get_secret_value())
