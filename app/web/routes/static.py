"""Files of the static folder."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response

from app.errors import NotFound
from app.web.assets import Assets
from app.web.deps import anonymous

router = APIRouter(include_in_schema=False)
_FOR_EVER = "public, max-age=31536000, immutable"


@router.get("/static/{version}/{name:path}", dependencies=[anonymous("style and script of the log-in page, too")])
async def static_file(request: Request, version: str, name: str) -> Response:
    assets: Assets = request.app.state.assets
    # The names found at the start are the only ones served: no path is ever built from the request alone.
    if name not in assets.names:
        raise NotFound("There is no such file.")
    # A page from before an upgrade asks with its old version: it gets today's file, but may not keep it as the old one.
    keep = _FOR_EVER if version == assets.version else "no-cache"
    return FileResponse(assets.folder / name, headers={"Cache-Control": keep})
