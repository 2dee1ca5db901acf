"""Our errors to status and words, in one shape for each kind of reader.

a page       the error page, with the sentence as its heading
a fragment   for a failed deed a toast, so that what was typed stays; for a failed look the callout where it belongs
the API      {"error": {"code": ..., "message": ..., "request_id": ...}}, with `field` or `needs` where there is one
"""

from __future__ import annotations

import dataclasses
from typing import Any
from urllib.parse import quote, urlsplit

import structlog
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DatabaseError, DataError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from app import errors
from app.security.origin import SAFE_METHODS
from app.web import render
from app.web.deps import identify

_log = structlog.get_logger("clew.web")


@dataclasses.dataclass(frozen=True)
class ErrorView:
    """The error page.

    title:  the sentence, or what it comes down to
    detail: what else is true: what was kept, what to do
    retry:  whether asking again may help
    """

    status: int
    code: str
    title: str
    detail: str = ""
    retry: bool = False
    request_id: str = ""
    field: str | None = None
    needs: str | None = None


_STATUS: tuple[tuple[type[errors.AppError], int, str], ...] = (
    (errors.InvalidInput, 422, "invalid_input"),
    (errors.NotFound, 404, "not_found"),
    (errors.Conflict, 409, "conflict"),
    (errors.SignInNeeded, 401, "sign_in_needed"),
    (errors.Forbidden, 403, "forbidden"),
    (errors.EvidenceChanged, 409, "evidence_changed"),
    (errors.SourceUnavailable, 502, "source_unavailable"),
    (errors.SourceRefused, 502, "source_refused"),
    (errors.SourceUnreadable, 502, "source_unreadable"),
    (errors.AppError, 500, "failed"),
)

_HTTP_WORDS = {
    404: ("There is nothing at this address", "It may have been moved, or it is not for you to see. Clew does not say which."),
    405: ("This address does not take that kind of request", "Nothing was changed."),
    413: ("That is too large", "Nothing was stored."),
}


def install(app: FastAPI) -> None:
    """Register the handlers on the app."""
    app.add_exception_handler(errors.AppError, answer)
    app.add_exception_handler(StarletteHTTPException, answer)
    app.add_exception_handler(RequestValidationError, answer)
    app.add_exception_handler(PoolTimeoutError, answer)
    app.add_exception_handler(DatabaseError, answer)


async def answer(request: Request, error: Exception) -> Response:
    """The answer for any error."""
    view = dataclasses.replace(_view(error), request_id=request.state.request_id)
    if isinstance(error, DatabaseError):
        _log.error("database", request_id=view.request_id, exc_info=error)
    kept = getattr(error, "headers", None) or {}
    if request.url.path.startswith(("/api/", "/hooks/")):
        return JSONResponse({"error": _facts(view)}, view.status, kept)
    if isinstance(error, errors.SignInNeeded):
        return _to_the_door(request)
    if render.is_fragment(request):
        return _as_fragment(request, view)
    if not isinstance(error, DatabaseError | PoolTimeoutError):
        await identify(request)  # so that the frame knows its reader
    return render.page(request, "errors/show.html", view, status=view.status, extra=kept)


def _view(error: Exception) -> ErrorView:
    if isinstance(error, errors.AppError):
        status, code = next((status, code) for kind, status, code in _STATUS if isinstance(error, kind))
        return ErrorView(
            status,
            code,
            error.sentence,
            detail=getattr(error, "detail", ""),
            retry=isinstance(error, errors.SourceUnavailable),
            field=getattr(error, "field", None),
            needs=getattr(error, "needs", None),
        )
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"][1:])[:80]
        return ErrorView(422, "invalid_input", f"{field or 'The request'}: {first['msg'][:200]}.", field=field or None)
    if isinstance(error, StarletteHTTPException | HTTPException):
        title, detail = _HTTP_WORDS.get(error.status_code, (str(error.detail)[:200], ""))
        return ErrorView(error.status_code, f"http_{error.status_code}", title, detail)
    if isinstance(error, PoolTimeoutError):
        return ErrorView(503, "database_busy", "The database is busy", "Nothing was changed.", retry=True)
    if isinstance(error, DatabaseError) and not isinstance(error, IntegrityError | ProgrammingError | DataError):
        words = "Nothing was changed. The server's log tells why."
        return ErrorView(503, "database_failed", "The database did not do what Clew asked", words, retry=True)
    words = "The mistake is Clew's and has been recorded. What was stored before is stored; what failed was not half done."
    return ErrorView(500, "unforeseen", "Clew could not finish this", words, retry=True)


def _facts(view: ErrorView) -> dict[str, Any]:
    facts = {"code": view.code, "message": view.title, "request_id": view.request_id}
    more = {"detail": view.detail, "field": view.field, "needs": view.needs}
    return facts | {name: value for name, value in more.items() if value}


def _to_the_door(request: Request) -> Response:
    """To the log-in page, and back again afterwards."""
    if request.headers.get("hx-request") == "true":
        # A fragment's own address is no page to come back to; htmx tells which page asked.
        page = urlsplit(request.headers.get("hx-current-url", ""))
        return Response(status_code=401, headers={"HX-Redirect": _door(page.path, page.query)})
    back = request.url if request.method in SAFE_METHODS else urlsplit("/")
    return RedirectResponse(_door(back.path, back.query), 303)


def _door(path: str, query: str) -> str:
    here = f"{path}?{query}" if query else path
    return "/login" if here in ("", "/") else f"/login?next={quote(here, safe='/')}"


def _as_fragment(request: Request, view: ErrorView) -> Response:
    if request.method in SAFE_METHODS:
        return render.fragment(request, "errors/show.html", "callout", view, status=view.status)
    extra = {"HX-Retarget": "#toasts", "HX-Reswap": "beforeend"}
    return render.fragment(request, "errors/show.html", "toast", view, status=view.status, extra=extra)
