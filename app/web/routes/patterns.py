"""The page that shows every component."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.security.roles import Permission
from app.web import render
from app.web.deps import needs
from app.web.views.patterns import PatternsView

router = APIRouter(include_in_schema=False)


@router.get("/patterns", dependencies=[needs(Permission.READ)])
async def show_patterns(request: Request) -> Response:
    return render.page(request, "patterns.html", PatternsView.sample(), charts=True)
