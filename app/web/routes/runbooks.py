"""The runbooks of the shipped alert rules: where their `runbook_url` leads."""

from __future__ import annotations

import dataclasses
import functools
import re

from fastapi import APIRouter, Request
from markdown_it import MarkdownIt
from markupsafe import Markup
from starlette.responses import Response

from app import paths
from app.security.roles import Permission
from app.web import render
from app.web.deps import needs

router = APIRouter(include_in_schema=False)

_SECTION = re.compile(r"^## +(.+?) *$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Section:
    """One alert's runbook. `anchor` is the alert's name, as rules link to it."""

    anchor: str
    text: Markup


@dataclasses.dataclass(frozen=True)
class RunbooksView:
    lede: Markup
    sections: tuple[Section, ...]


@router.get("/runbooks", dependencies=[needs(Permission.READ)])
async def show(request: Request) -> Response:
    return render.page(request, "alerts/runbooks.html", _view())


@functools.cache
def _view() -> RunbooksView:
    """Read once: the file ships with Clew. Its words are ours, and HTML in it would be shown as text all the same."""
    text = (paths.folder("docs") / "runbooks.md").read_text(encoding="utf-8")
    lede, *parts = _SECTION.split(text.partition("\n")[2])
    markdown = MarkdownIt("commonmark", {"html": False})
    return RunbooksView(
        lede=Markup(markdown.render(lede)),  # noqa: S704 - markdown-it escapes HTML
        sections=tuple(
            Section(anchor, Markup(markdown.render(body)))  # noqa: S704
            for anchor, body in zip(parts[::2], parts[1::2], strict=True)
        ),
    )
