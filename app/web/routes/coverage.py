"""What the telemetry can and cannot show: the doctor's report, as a page and as JSON."""

from __future__ import annotations

import functools
import re
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from markdown_it import MarkdownIt
from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from app import paths
from app.errors import InvalidInput, SourceUnavailable
from app.security.roles import Permission
from app.web import render
from app.web.checkups import WINDOWS, Checkups
from app.web.deps import Now, needs
from app.web.routes.api import FAILURES
from app.web.views.coverage import CoverageView, GuideView, report_view

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["coverage"], responses=FAILURES)

_PICTURE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINK = re.compile(r"\[([^\]]+)\]\(([a-z-]+)\.md[^)]*\)")

# How long one request waits for a check that is under way; the page then asks again.
_PATIENCE_S = 20.0
_API_PATIENCE_S = 90.0


def _checkups(request: Request) -> Checkups:
    found: Checkups = request.app.state.checkups
    return found


def _window(last: Annotated[str, Query(max_length=10)] = "1h") -> str:
    if last not in WINDOWS:
        raise InvalidInput(f"The time is one of {', '.join(WINDOWS)}.", field="last")
    return last


TheCheckups = Annotated[Checkups, Depends(_checkups)]
TheWindow = Annotated[str, Depends(_window)]


@router.get("/coverage", dependencies=[needs(Permission.READ)])
async def show(request: Request, checkups: TheCheckups, window: TheWindow, now: Now) -> Response:
    """The page at once, with the report that is kept; its part, which htmx asks for, waits for one."""
    if render.is_fragment(request):
        report = await checkups.report(window, within_s=_PATIENCE_S)
        view = CoverageView(window, report_view(report, now) if report else None, checkups.is_running(window))
        return render.fragment(request, "coverage/show.html", "report", view)
    kept = checkups.kept(window)
    view = CoverageView(window, report_view(kept, now) if kept else None, checkups.is_running(window))
    return render.page(request, "coverage/show.html", view)


@router.post("/coverage/check", dependencies=[needs(Permission.READ)])
async def check(request: Request, checkups: TheCheckups, window: TheWindow, now: Now) -> Response:
    """Check again. Without script this waits, and then shows the page."""
    checkups.start(window)
    if render.is_fragment(request):
        kept = checkups.kept(window)
        view = CoverageView(window, report_view(kept, now) if kept else None, checkups.is_running(window))
        return render.fragment(request, "coverage/show.html", "report", view)
    await checkups.report(window, within_s=_API_PATIENCE_S)
    return RedirectResponse(f"/coverage?last={window}", 303)


@router.get("/coverage/checks", dependencies=[needs(Permission.READ)])
async def guide(request: Request) -> Response:
    """What each check means and what to do: where findings point to."""
    return render.page(request, "coverage/guide.html", _guide())


@api.get("/coverage", dependencies=[needs(Permission.READ)])
async def coverage_api(checkups: TheCheckups, window: TheWindow) -> Response:
    """The doctor's report of `last` (1h, 6h or 24h): made now, unless one of the last ten minutes is there."""
    report = await checkups.report(window, within_s=_API_PATIENCE_S)
    if report is None:
        raise SourceUnavailable("the sources", "coverage", "The check is still under way. Ask again in a minute.")
    return Response(msgspec.json.encode(report), media_type="application/json")


@functools.cache
def _guide() -> GuideView:
    """Read once: the file ships with Clew, so that its words and its anchors, which are HTML, are ours."""
    text = (paths.folder("docs") / "doctor.md").read_text(encoding="utf-8")
    # Of the other documents only the runbooks have a page.
    text = _PICTURE.sub("", text)
    text = _LINK.sub(lambda link: f"[{link[1]}](/runbooks)" if link[2] == "runbooks" else link[1], text.partition("\n")[2])
    return GuideView(Markup(MarkdownIt("commonmark", {"html": True}).enable("table").render(text)))  # noqa: S704
