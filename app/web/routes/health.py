"""Whether the process lives, and whether it can work; what browsers report against the content policy."""

from __future__ import annotations

from typing import Any

import orjson
import structlog
from fastapi import APIRouter, Request
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import PlainTextResponse, Response

from app.web.deps import TheDatabase, anonymous

router = APIRouter(include_in_schema=False)
_log = structlog.get_logger("clew.csp")
_LARGEST_REPORT = 16_384


@router.api_route("/healthz", methods=["GET", "HEAD"], dependencies=[anonymous("asked by supervisors; tells nothing")])
async def alive() -> Response:
    return PlainTextResponse("ok\n")


@router.api_route("/readyz", methods=["GET", "HEAD"], dependencies=[anonymous("asked by load balancers; tells nothing")])
async def ready(database: TheDatabase) -> Response:
    """Ready means: the database answers. Sources fail alone and do not count."""
    try:
        async with database.reading() as db:
            await db.execute(text("SELECT 1"))
    except (SQLAlchemyError, OSError):
        return PlainTextResponse("database does not answer\n", 503)
    return PlainTextResponse("ok\n")


@router.post("/csp-report", dependencies=[anonymous("browsers report without cookies")], status_code=204)
async def policy_violation(request: Request) -> Response:
    """Log what a browser refused: on our own pages this is a bug, or somebody's payload that did not run."""
    body = await request.body()
    try:
        report = orjson.loads(body if len(body) <= _LARGEST_REPORT else b"")["csp-report"]
        _log.warning("csp_violation", **{key.replace("-", "_"): str(report[key])[:300] for key in _KEPT if key in report})
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return Response(status_code=400)
    return Response(status_code=204)


_KEPT: Any = ("document-uri", "violated-directive", "blocked-uri", "source-file", "line-number", "script-sample")
