"""Notes of a case: reading, writing, editing, and what they said before."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import RedirectResponse, Response

from app.cases import service, store
from app.cases.model import case_name, note_name
from app.errors import AppError, Conflict, InvalidInput
from app.security.roles import Permission, Person
from app.web import render
from app.web.deps import Db, UtcNow, Who, needs
from app.web.routes import case_parts
from app.web.routes.case_parts import CaseNumber, Numbered
from app.web.routes.cases import Text
from app.web.views.case_notes import Composer, EditNoteView, NoteHistoryView, NotesView, Revision
from app.web.views.cases import page_href

router = APIRouter(include_in_schema=False)

_PAGE = 50


@router.get("/cases/{case}/notes", dependencies=[needs(Permission.READ)])
async def notes(
    request: Request, db: Db, who: Who, number: CaseNumber, page: Annotated[int, Query(ge=1, le=10**6)] = 1
) -> Response:
    return render.page(request, "cases/notes.html", await _view(db, who, number, page=page))


@router.post("/cases/{case}/notes", dependencies=[needs(Permission.CASE_WRITE)])
async def write(
    request: Request, db: Db, who: Who, at: UtcNow, number: CaseNumber, text: Text = "",
    preview: Annotated[bool, Form()] = False,
) -> Response:  # fmt: skip
    """Keep a note, or show how it will read. One that is not taken comes back in its form, whole."""
    if preview:
        return render.page(request, "cases/notes.html", await _view(db, who, number, text=text, preview=True))
    try:
        note = await service.add_note(db, number, text, by=who, at=at)
    except (InvalidInput, Conflict) as error:
        view = await _view(db, who, number, text=text, problem=error.sentence)
        return render.page(request, "cases/notes.html", view, status=_status(error))
    # `saved` tells the browser that its draft is no longer needed.
    return RedirectResponse(f"/cases/{case_name(number)}/notes?saved={case_name(number)}-new#{note_name(note.number)}", 303)


@router.get("/cases/{case}/notes/{note}/edit", dependencies=[needs(Permission.CASE_WRITE)])
async def edit(request: Request, db: Db, who: Who, number: CaseNumber, note: Numbered) -> Response:
    now = await store.note(db, number, note)
    view = await _edit_view(db, who, number, note, text=now.text, revision=now.revision)
    return render.page(request, "cases/note.html", view)


@router.post("/cases/{case}/notes/{note}", dependencies=[needs(Permission.CASE_WRITE)])
async def change(
    request: Request, db: Db, who: Who, at: UtcNow, number: CaseNumber, note: Numbered, text: Text = "",
    revision: Annotated[int, Form()] = 0, preview: Annotated[bool, Form()] = False,
) -> Response:  # fmt: skip
    if preview:
        view = await _edit_view(db, who, number, note, text=text, revision=revision, preview=True)
        return render.page(request, "cases/note.html", view)
    try:
        await service.edit_note(db, number, note, text, revision=revision, by=who, at=at)
    except (InvalidInput, Conflict) as error:
        now = await store.note(db, number, note)
        stale = isinstance(error, Conflict) and now.revision != revision
        # Saving again, having seen the newer text, is meant: the form then stands on the newer revision.
        view = await _edit_view(
            db, who, number, note, text=text, revision=now.revision if stale else revision, problem=error.sentence,
            newer=now.text if stale else "",
        )  # fmt: skip
        return render.page(request, "cases/note.html", view, status=_status(error))
    saved = f"{case_name(number)}-{note_name(note)}"
    return RedirectResponse(f"/cases/{case_name(number)}/notes?saved={saved}#{note_name(note)}", 303)


@router.get("/cases/{case}/notes/{note}/history", dependencies=[needs(Permission.READ)])
async def history(request: Request, db: Db, who: Who, number: CaseNumber, note: Numbered) -> Response:
    await store.note_row(db, number, note)
    rows = await store.revisions(db, number, note)
    before = [*rows[1:], None]
    view = NoteHistoryView(
        head=await case_parts.head(db, await store.case(db, number), who, "/notes"),
        name=note_name(note),
        anchor=note_name(note),
        revisions=tuple(Revision.of(row, old) for row, old in zip(rows, before, strict=True)),
    )
    return render.page(request, "cases/note_history.html", view)


async def _view(
    db: AsyncSession, who: Person, number: int, *, page: int = 1, text: str = "", problem: str = "", preview: bool = False
) -> NotesView:
    case = await store.case(db, number)
    above = await case_parts.head(db, case, who, "/notes")
    pages = max(1, -(-case.note_count // _PAGE))
    page = min(page, pages)
    found = await store.notes(db, number, limit=_PAGE, offset=(page - 1) * _PAGE)
    about = await case_parts.known(db, case, [text, *(note.text for note in found)])
    shown = await case_parts.prose(text, about) if preview else None
    return NotesView(
        head=above,
        notes=await case_parts.note_views(found, about, who, adds=above.adds),
        composer=case_parts.composer(above, text=text, problem=problem, preview=shown),
        total=case.note_count,
        previous=page_href(f"{above.href}/notes", page - 1) if page > 1 else "",
        next=page_href(f"{above.href}/notes", page + 1) if page < pages else "",
    )


async def _edit_view(
    db: AsyncSession, who: Person, number: int, note: int, *, text: str, revision: int, problem: str = "", newer: str = "",
    preview: bool = False,
) -> EditNoteView:  # fmt: skip
    case = await store.case(db, number)
    above = await case_parts.head(db, case, who, "/notes")
    shown = await case_parts.prose(text, await case_parts.known(db, case, [text])) if preview else None
    name = note_name(note)
    form = Composer(
        f"{above.href}/notes/{note}", f"{above.name}-{name}", text=text, problem=problem, preview=shown, revision=revision
    )
    return EditNoteView(above, name, form, newer=newer)


def _status(error: AppError) -> int:
    return 409 if isinstance(error, Conflict) else 422
