"""The timeline of a case: its pages, its marks, events entered by hand, and the files it is given out as."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import AsyncIterator
from typing import IO, Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from app.cases import export, model, service, store
from app.cases.export import Written
from app.cases.model import Format, case_name
from app.cases.timeline import Kind
from app.db.session import Database
from app.errors import Conflict, InvalidInput
from app.security.roles import Permission, Person
from app.web import render
from app.web.deps import Db, TheDatabase, TheSettings, UtcNow, Who, needs
from app.web.routes import case_parts
from app.web.routes.case_parts import CaseNumber
from app.web.routes.cases import Text, Word
from app.web.views.cases import EventFormView, local_now

router = APIRouter(include_in_schema=False)

_CHUNK = 256 * 1024


@router.get("/cases/{case}/timeline", dependencies=[needs(Permission.READ)])
async def timeline(
    request: Request, db: Db, who: Who, number: CaseNumber, kind: str = "", starred: bool = False, hidden: bool = False,
    page: Annotated[int, Query(ge=1, le=10**6)] = 1,
) -> Response:  # fmt: skip
    above = await case_parts.head(db, await store.case(db, number), who, "/timeline")
    chosen = next((one for one in Kind if one.value == kind), None)
    view = await case_parts.timeline(db, above, number, kind=chosen, starred=starred, hidden=hidden, page=page)
    return render.page(request, "cases/timeline.html", view)


@router.get("/cases/{case}/events/new", dependencies=[needs(Permission.CASE_WRITE)])
async def new_event(request: Request, db: Db, who: Who, at: UtcNow, number: CaseNumber) -> Response:
    above = await case_parts.head(db, await store.case(db, number), who, "/timeline")
    return render.page(request, "cases/event.html", EventFormView(above, occurred=local_now(at)))


@router.post("/cases/{case}/events", dependencies=[needs(Permission.CASE_WRITE)])
async def add_event(
    request: Request, db: Db, who: Who, at: UtcNow, number: CaseNumber, occurred: Word = "", title: Word = "",
    detail: Text = "",
) -> Response:  # fmt: skip
    try:
        occurred_ns = model.moment(occurred)
        await service.add_event(db, number, occurred_ns=occurred_ns, title=title, detail=detail, by=who, at=at)
    except (InvalidInput, Conflict) as error:
        above = await case_parts.head(db, await store.case(db, number), who, "/timeline")
        view = EventFormView(above, occurred=occurred, title=title, detail=detail)
        field = getattr(error, "field", None)
        view = dataclasses.replace(view, **({"wrong": {field: error.sentence}} if field else {"problem": error.sentence}))
        return render.page(request, "cases/event.html", view, status=409 if isinstance(error, Conflict) else 422)
    return RedirectResponse(f"/cases/{case_name(number)}/timeline", 303)


@router.post("/cases/{case}/events/{event_id}/mark", dependencies=[needs(Permission.CASE_WRITE)])
async def mark(
    db: Db, who: Who, at: UtcNow, number: CaseNumber, event_id: str, starred: Annotated[bool | None, Form()] = None,
    hidden: Annotated[bool | None, Form()] = None, back: Word = "",
) -> Response:  # fmt: skip
    """Star or hide one event, and back to the page it was done on."""
    row = await service.mark_event(db, number, event_id[:32], starred=starred, hidden=hidden, by=who, at=at)
    mine = f"/cases/{case_name(number)}"
    page = back if back == mine or back.startswith((f"{mine}/timeline", f"{mine}?")) else f"{mine}/timeline"
    return RedirectResponse(f"{page}#e-{row.id}", 303)


@router.post("/cases/{case}/exports", dependencies=[needs(Permission.CASE_EXPORT)])
async def give_out(
    database: TheDatabase, settings: TheSettings, who: Who, at: UtcNow, number: CaseNumber, format: Word = "csv",
    hidden: Annotated[bool, Form()] = False,
) -> Response:  # fmt: skip
    """The timeline as a file. It is recorded before its first byte leaves."""
    return await exported(database, number, format, who, at, public_url=settings.web.public_url, hidden=hidden)


async def exported(
    database: Database, number: int, form: str, who: Person, at: UtcNow, *, public_url: str, hidden: bool
) -> Response:
    """Write, record, hand over. Errors: NotFound, InvalidInput for an unknown format."""
    known = next((one for one in Format if one.value == form), None)
    if known is None:
        raise InvalidInput(f"{form[:40]!r} is no format; choose {', '.join(Format)}.", field="format")
    file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the answer has left
    try:
        async with database.reading() as db:
            written = await export.write(db, number, known, file, public_url=public_url, hidden=hidden)
        async with database.writing() as db:
            link = await export.record(db, number, written, by=who, at=at)
    except BaseException:
        file.close()
        raise
    return StreamingResponse(_chunks(file), media_type=written.media_type, headers=_headers(written, link.hash))


def _headers(written: Written, head: bytes) -> dict[str, str]:
    return {
        "Content-Disposition": case_parts.attachment(written.name),
        "Content-Length": str(written.size),
        "Cache-Control": "no-store",
        "X-Content-SHA256": written.sha256,
        "X-Clew-Custody-Head": head.hex(),
    }


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        file.seek(0)
        while chunk := file.read(_CHUNK):
            yield chunk
