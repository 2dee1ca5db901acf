"""What the JSON API says about itself and its reader. The API of each area stands with its pages."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from app.security.roles import GRANTS, Permission
from app.web.deps import Who, needs

router = APIRouter(prefix="/api/v1", tags=["about"])


class Me(BaseModel):
    """Who the API takes you for."""

    name: str
    display_name: str
    role: str = Field(description="viewer, analyst or admin")
    permissions: list[str] = Field(description="What the role grants")


class ApiError(BaseModel):
    """Why a request failed."""

    code: str = Field(description="Stable, for programs: not_found, forbidden, invalid_input, ...")
    message: str = Field(description="A sentence, for people")
    request_id: str = Field(description="Names the line in the server's log")
    field: str | None = Field(None, description="The parameter or field that is wrong")
    needs: str | None = Field(None, description="The role that may")
    detail: str | None = Field(None, description="More for the one who repairs it")


class Failed(BaseModel):
    error: ApiError


# For `responses=` of every API router: the one shape of all errors.
FAILURES: dict[int | str, dict[str, Any]] = {
    401: {"model": Failed, "description": "Nobody is signed in"},
    403: {"model": Failed, "description": "The role does not allow it"},
    404: {"model": Failed, "description": "Absent, or not for your eyes"},
    409: {"model": Failed, "description": "Somebody else changed it first"},
    422: {"model": Failed, "description": "The request is wrong; nothing was changed"},
    502: {"model": Failed, "description": "A telemetry source failed"},
}


@router.get("/me", dependencies=[needs(Permission.READ)], responses={401: FAILURES[401]})
async def me(who: Who) -> Me:
    """Name, role and permissions of the session's person."""
    return Me(name=who.name, display_name=who.display_name, role=who.role.value, permissions=sorted(GRANTS[who.role]))


@router.get("/openapi.json", dependencies=[needs(Permission.READ)], include_in_schema=False)
async def openapi(request: Request) -> Response:
    return JSONResponse(request.app.openapi())
