"""The overview: its page, each of its panels, and the same figures over the JSON API."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from app.cases import store
from app.cases.model import Status
from app.doctor.report import Report
from app.errors import InvalidInput, NotFound, SourceError
from app.investigation.asking import Window
from app.investigation.overview import window as windows
from app.investigation.overview.service import Answer, Basis, Overview
from app.security.roles import Permission
from app.times import DAY
from app.web import render
from app.web.deps import Now, TheDatabase, TheSettings, needs
from app.web.routes.alerts import TheInvestigation
from app.web.routes.api import FAILURES
from app.web.views import overview as views
from app.web.views.overview import PanelView, Place
from app.web.views.overview_api import OverviewOut, overview_out
from app.web.views.overview_asked import REFRESHES, Asked
from app.web.views.overview_now import NowView, alerts_panel, cases_panel, now_view
from app.web.views.overview_page import OverviewView

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["overview"], responses=FAILURES)

_BOARD_S = 6.0
_CASES = 8
_TEMPLATE = "overview/show.html"

# The panels that rest on figures, in the order of the page: what asks, and what shows the answer.
_ASK: dict[str, Callable[[Overview, Window, Basis], Awaitable[Answer[Any]]]] = {
    "success": Overview.success,
    "sources": Overview.sources,
    "names": Overview.names,
    "refusals": Overview.refusals,
    "layers": lambda overview, window, _: overview.layers(window),
    "latency": Overview.latency,
}
_SHOW: dict[str, Callable[[Place, Answer[Any]], PanelView]] = {
    "success": views.success_panel,
    "sources": views.sources_panel,
    "names": views.names_panel,
    "refusals": views.refusals_panel,
    "layers": views.layers_panel,
    "latency": views.latency_panel,
}
_PANELS = (*_ASK, "alerts", "cases")


def _overview(request: Request) -> Overview:
    overview: Overview = request.app.state.overview
    return overview


async def _asked(
    last: Annotated[str, Query(max_length=10)] = "",
    start: Annotated[str, Query(max_length=40)] = "",
    end: Annotated[str, Query(max_length=40)] = "",
    refresh: Annotated[str, Query(max_length=10)] = "",
    source: Annotated[str, Query(max_length=10, description="metrics or traces; the better there is when left out")] = "",
    whole: Annotated[str, Query(max_length=5)] = "",
) -> Asked:
    known = refresh if refresh in REFRESHES else Asked.refresh
    basis = source if source in list(Basis) else ""
    return Asked(last.strip(), start.strip(), end.strip(), known, basis, "1" if whole == "1" else "")


AskedFor = Annotated[Asked, Depends(_asked)]
TheOverview = Annotated[Overview, Depends(_overview)]


@dataclasses.dataclass(frozen=True)
class Around:
    """What every part of the page is made with."""

    request: Request
    overview: TheOverview
    investigation: TheInvestigation
    database: TheDatabase
    settings: TheSettings
    now: Now

    @property
    def last_coverage(self) -> Report | None:
        """The report of the last check of coverage; None until there was one."""
        found: Report | None = self.request.app.state.checkups.last()
        return found

    @property
    def alerting(self) -> bool:
        return self.settings.prometheus.enabled or self.settings.alertmanager.enabled


TheRest = Annotated[Around, Depends(Around)]


@router.get("/overview", dependencies=[needs(Permission.READ)])
async def show(asked: AskedFor, around: TheRest) -> Response:
    """The frame, whose panels come each by itself; or everything at once, for a reader without script."""
    there = around.overview.bases
    request = around.request
    try:
        window = windows.window(asked.last, asked.start, asked.end, around.now)
    except InvalidInput as error:
        view = _page(asked, there, "", {}, None, problem=error.sentence, field=error.field or "start")
        return render.page(request, _TEMPLATE, view, status=422, charts=True)
    panels = {key: Place(key, asked, window, around.settings).panel(loaded=False) for key in _PANELS}
    now: NowView | None = None
    if asked.whole:
        loaded = asyncio.gather(*(_panel(key, asked, window, around) for key in _PANELS))
        now = await _now(asked, window, around)
        panels = {panel.key: panel for panel in await loaded}
    return render.page(request, _TEMPLATE, _page(asked, there, views.window_words(window), panels, now), charts=True)


@router.get("/overview/now", dependencies=[needs(Permission.READ)])
async def now(asked: AskedFor, around: TheRest) -> Response:
    """The sentence and the line of figures."""
    window = windows.window(asked.last, asked.start, asked.end, around.now)
    part = await _now(asked, window, around)
    return render.fragment(around.request, "overview/part.html", "now", part)


@router.get("/overview/{key}", dependencies=[needs(Permission.READ)])
async def panel(key: Annotated[str, Path(max_length=20)], asked: AskedFor, around: TheRest) -> Response:
    """One panel."""
    if key not in _PANELS:
        raise NotFound("The overview has no such panel.")
    window = windows.window(asked.last, asked.start, asked.end, around.now)
    view = await _panel(key, asked, window, around)
    return render.fragment(around.request, "overview/part.html", "panel", view)


@api.get("/overview", dependencies=[needs(Permission.READ)])
async def overview_api(asked: AskedFor, around: TheRest) -> OverviewOut:
    """The figures of the overview, each with its query and what it rests on; a part whose source failed says so instead."""
    window = windows.window(asked.last, asked.start, asked.end, around.now)
    basis = asked.basis(around.overview.bases)
    board, cases, *answers = await asyncio.gather(
        around.investigation.board(DAY, now_ns=around.now, wait_s=_BOARD_S),
        _case_counts(around),
        *(_answer(ask, around.overview, window, basis) for ask in _ASK.values()),
    )
    return overview_out(window, board, cases, around.last_coverage, dict(zip(_ASK, answers, strict=True)))


async def _now(asked: Asked, window: Window, around: Around) -> NowView:
    basis = asked.basis(around.overview.bases)
    board, checks, cases = await asyncio.gather(
        around.investigation.board(DAY, now_ns=around.now, wait_s=_BOARD_S),
        _answer(Overview.success, around.overview, window, basis),
        _case_counts(around),
    )
    return now_view(
        Place("now", asked, window, around.settings), board, cases, around.last_coverage,
        checks if isinstance(checks, Answer) else None, alerting=around.alerting,
    )  # fmt: skip


async def _panel(key: str, asked: Asked, window: Window, around: Around) -> PanelView:
    place = Place(key, asked, window, around.settings)
    if key == "alerts":
        board = await around.investigation.board(DAY, now_ns=around.now, wait_s=_BOARD_S)
        return alerts_panel(place, board, around.investigation.labels, alerting=around.alerting)
    if key == "cases":
        return await _cases(place, around)
    there = around.overview.bases
    answer = await _answer(_ASK[key], around.overview, window, asked.basis(there))
    return place.failed(answer, there) if isinstance(answer, SourceError) else _SHOW[key](place, answer)


async def _answer(
    ask: Callable[[Overview, Window, Basis], Awaitable[Answer[Any]]], overview: Overview, window: Window, basis: Basis
) -> Answer[Any] | SourceError:
    try:
        return await ask(overview, window, basis)
    except SourceError as error:
        return error


async def _cases(place: Place, around: Around) -> PanelView:
    async with around.database.reading() as db:
        rows = await store.unfinished(db, limit=_CASES)
        counts = await store.count_by_status(db)
        names = await store.names_of_people(db, [row.assignee_id for row in rows if row.assignee_id])
    return cases_panel(place, rows, names, counts[Status.OPEN] + counts[Status.CONTAINED], around.now)


async def _case_counts(around: Around) -> dict[Status, int]:
    async with around.database.reading() as db:
        return await store.count_by_status(db)


def _page(
    asked: Asked, there: tuple[Basis, ...], words: str, panels: dict[str, PanelView], now: NowView | None,
    *, problem: str = "", field: str = "",
) -> OverviewView:  # fmt: skip
    return OverviewView(
        asked=asked, window_words=words, now_href=asked.href("/overview/now"), now=now, panels=panels,
        bases=asked.bases(there), problem=problem, problem_field=field, setup=not there,
    )  # fmt: skip
