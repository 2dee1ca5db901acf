"""Templates to answers.

    return render.page(request, "cases/show.html", CaseView.of(case))
    return render.fragment(request, "cases/show.html", "evidence", CaseView.of(case))

A template sees two things: `view`, what the page is about, and `frame`, what surrounds every page; and the globals `ui`
(the macros of templates/ui.html) and `asset` (addresses of static files).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jinja2
from fastapi import Request
from jinja2_fragments import render_block
from starlette.responses import Response

import app
from app.security.roles import Person
from app.settings import Settings
from app.web import formats, headers
from app.web.assets import Assets
from app.web.deps import is_loopback


@dataclasses.dataclass(frozen=True)
class NavItem:
    label: str
    href: str
    current: bool


@dataclasses.dataclass(frozen=True)
class Frame:
    """What surrounds a page.

    person:     who is signed in, None at the door
    nav:        the places that exist
    charts:     the page draws with Plotly
    plain_http: neither TLS nor this machine itself: the browser then says less about where a form came from
    """

    person: Person | None
    nav: tuple[NavItem, ...]
    path: str
    version: str
    demo: bool
    refresh_s: int
    request_id: str
    charts: bool
    plain_http: bool


def environment(folder: Path, assets: Assets) -> jinja2.Environment:
    """Jinja as Clew uses it: everything escaped, nothing undefined."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    env.filters.update(formats.FILTERS)
    env.globals["asset"] = assets.url
    # A global, because a block rendered alone does not see its page's imports.
    env.globals["ui"] = env.get_template("ui.html").module
    return env


def page(
    request: Request,
    template: str,
    view: Any,
    *,
    status: int = 200,
    charts: bool = False,
    extra: Mapping[str, str] | None = None,
) -> Response:
    """A whole page. `charts=True` loads Plotly and allows the style attributes it needs."""
    env: jinja2.Environment = request.app.state.templates
    text = env.get_template(template).render(view=view, frame=_frame(request, charts=charts))
    return _html(text, status, {**({"Content-Security-Policy": headers.CHART_POLICY} if charts else {}), **(extra or {})})


def fragment(
    request: Request, template: str, block: str, view: Any, *, status: int = 200, extra: Mapping[str, str] | None = None
) -> Response:
    """One `{% block %}` of a page's template, for htmx."""
    env: jinja2.Environment = request.app.state.templates
    text = render_block(env, template, block, view=view, frame=_frame(request, charts=False))
    return _html(text, status, dict(extra or {}))


def is_fragment(request: Request) -> bool:
    """Whether htmx asks for a part of the page it has. Asking for a whole page (back button, boosted link) is not that."""
    return request.headers.get("hx-request") == "true" and request.headers.get("hx-request-type") != "full"


def _html(text: str, status: int, extra: dict[str, str]) -> Response:
    # Telemetry may hold lone surrogates, which have no UTF-8.
    return Response(text.encode("utf-8", "replace"), status, extra, media_type="text/html")


def _frame(request: Request, *, charts: bool) -> Frame:
    settings: Settings = request.app.state.settings
    path = request.url.path
    person: Person | None = getattr(request.state, "person", None)
    return Frame(
        person=person,
        nav=tuple(
            NavItem(label, href, path == href or path.startswith(href + "/")) for label, href in request.app.state.places
        ),
        path=path,
        version=app.__version__,
        demo=settings.web.demo,
        refresh_s=settings.web.refresh_s,
        request_id=request.state.request_id,
        charts=charts,
        plain_http=request.url.scheme != "https" and not is_loopback(urlsplit(f"//{request.url.netloc}").hostname or ""),
    )
