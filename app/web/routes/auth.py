"""Signing in and out."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from app.security import login, store
from app.security.roles import Permission
from app.settings import Settings
from app.web import render
from app.web.deps import (
    Db,
    MaybeWho,
    TheDatabase,
    TheSettings,
    UtcNow,
    Who,
    anonymous,
    is_loopback,
    needs,
    session_cookie,
)
from app.web.views.auth import LoginView

router = APIRouter(include_in_schema=False)


@router.get("/login", dependencies=[anonymous("the door itself")])
async def show_login(request: Request, db: Db, who: MaybeWho, settings: TheSettings, next: str = "") -> Response:
    if who:
        return RedirectResponse(local_path(next), 303)
    return render.page(request, "auth/login.html", await _view(request, db, settings, next))


@router.post("/login", dependencies=[anonymous("the door itself")])
async def sign_in(
    request: Request,
    database: TheDatabase,
    settings: TheSettings,
    now: UtcNow,
    name: Annotated[str, Form(max_length=200)] = "",
    password: Annotated[str, Form(max_length=1000)] = "",
    next: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    cookie = session_cookie(request)
    door = login.Door(
        address=request.state.address,
        user_agent=request.headers.get("user-agent", ""),
        old_token=request.cookies.get(cookie.name, ""),
    )
    result = await login.sign_in(database, name, password, door=door, settings=settings.security, at=now)
    if isinstance(result, login.SignedIn):
        whole = dt.timedelta(hours=settings.security.session_hours)
        return RedirectResponse(local_path(next), 303, {"Set-Cookie": cookie.set(result.token, whole)})
    async with database.reading() as db:
        view = await _view(request, db, settings, next, name=name, refused=result)
    wait = {"Retry-After": str(max(1, int((result.locked.until - now).total_seconds())))} if result.locked else {}
    return render.page(request, "auth/login.html", view, status=429 if result.locked else 401, extra=wait)


@router.post("/logout", dependencies=[needs(Permission.READ)])
async def sign_out(request: Request, db: Db, who: Who, now: UtcNow) -> Response:
    cookie = session_cookie(request)
    await login.sign_out(db, request.cookies[cookie.name], by=who, at=now, address=request.state.address)
    # Clear-Site-Data: the next person at this machine finds nothing of this one's evidence in the browser.
    return RedirectResponse("/login", 303, {"Set-Cookie": cookie.clear(), "Clear-Site-Data": '"cache"'})


def local_path(target: str) -> str:
    """Where to go after the door: a path of this server, or its front page. Another site's address is never followed."""
    path = target.partition("#")[0]
    # Browsers read "//host" and "/\\host" as another host's address, and drop tabs and newlines before they look.
    if not path.startswith("/") or path.startswith(("//", "/login", "/logout")) or "\\" in path or not path.isprintable():
        return "/"
    return path


async def _view(
    request: Request, db: Db, settings: Settings, next: str, name: str = "", refused: login.Refused | None = None
) -> LoginView:
    reaches = request.url.scheme == "https" or is_loopback(request.url.hostname or "")
    return LoginView(
        next=local_path(next) if next else "",
        idle_min=settings.security.session_idle_min,
        name=name,
        wrong=refused.sentence if refused else "",
        rule=f"After {settings.security.lockout_failures} wrong tries a name has to wait 5 minutes." if refused else "",
        first=not await store.has_users(db),
        unreachable=session_cookie(request).secure and not reaches,
    )
