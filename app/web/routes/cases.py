"""Cases: the list, the first page of one, opening, changing and adding to them."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import RedirectResponse, Response

from app.cases import service, store
from app.cases.model import Status, case_name
from app.cases.service import Changes
from app.errors import AppError, Conflict, InvalidInput
from app.security import audit
from app.security import store as people
from app.security.roles import Permission, Person
from app.web import render
from app.web.deps import Db, UtcNow, Who, needs
from app.web.routes import case_parts
from app.web.routes.case_parts import CaseNumber
from app.web.views.case_evidence import ActivityView, CustodyLine, activity_words
from app.web.views.case_overview import EntitiesView, OverviewView
from app.web.views.cases import (
    STATUS_WORDS,
    CaseForm,
    CaseLine,
    CasesView,
    EditCaseView,
    NewCaseView,
    page_href,
)

router = APIRouter(include_in_schema=False)

_PAGE = 100
_PARTS = 8  # rows of evidence, notes and custody on the overview

Word = Annotated[str, Form(max_length=2_000)]
Text = Annotated[str, Form()]


@router.get("/cases", dependencies=[needs(Permission.READ)])
async def index(
    request: Request, db: Db, who: Who, status: str = "", page: Annotated[int, Query(ge=1, le=10**6)] = 1
) -> Response:
    counts = await store.count_by_status(db)
    chosen = next((one for one in Status if one.value == status), None)
    everything = sum(counts.values())
    total = counts[chosen] if chosen else everything
    pages = max(1, -(-total // _PAGE))
    page = min(page, pages)
    rows = await store.cases(db, status=chosen, limit=_PAGE, offset=(page - 1) * _PAGE)
    names = await store.names_of_people(db, [row.assignee_id for row in rows if row.assignee_id])
    filters = [(f"All {everything:,}", "/cases", chosen is None)]
    filters += [(f"{STATUS_WORDS[one]} {count:,}", f"/cases?status={one}", chosen is one) for one, count in counts.items()]
    view = CasesView(
        lines=tuple(CaseLine.of(row, names) for row in rows),
        filters=tuple(filters),
        status=STATUS_WORDS[chosen].lower() if chosen else "",
        total=total,
        everything=everything,
        page=page,
        pages=pages,
        previous=page_href("/cases", page - 1, status=status) if page > 1 else "",
        next=page_href("/cases", page + 1, status=status) if page < pages else "",
        may_open=who.may(Permission.CASE_WRITE),
    )
    return render.page(request, "cases/index.html", view)


@router.get("/cases/new", dependencies=[needs(Permission.CASE_WRITE)])
async def new(request: Request) -> Response:
    return render.page(request, "cases/new.html", NewCaseView(CaseForm()))


@router.post("/cases", dependencies=[needs(Permission.CASE_WRITE)])
async def create(
    request: Request, db: Db, who: Who, at: UtcNow, title: Word = "", severity: Word = "", tlp: Word = "", tags: Word = "",
    summary: Text = "",
) -> Response:  # fmt: skip
    form = CaseForm(title=title, severity=severity, tlp=tlp, tags=tags, summary=summary)
    try:
        case = await service.open_case(
            db, title=title, severity=severity, tlp=tlp, summary=summary, tags=tags.split(","), by=who, at=at
        )
    except InvalidInput as error:
        return render.page(request, "cases/new.html", NewCaseView(with_fault(form, error)), status=422)
    return RedirectResponse(f"/cases/{case_name(case.number)}", 303)


# ----------------------------------------------------------------------------------------------------------- one case


@router.get("/cases/{case}", dependencies=[needs(Permission.READ)])
async def show(request: Request, db: Db, who: Who, number: CaseNumber) -> Response:
    case = await store.case(db, number)
    above = await case_parts.head(db, case, who, "")
    notes = await store.notes(db, number, limit=_PARTS)
    about = await case_parts.known(db, case, [case.summary, *(note.text for note in notes)])
    view = OverviewView(
        head=above,
        summary=await case_parts.prose(case.summary, about),
        timeline=await case_parts.story(db, above, number),
        evidence=await case_parts.evidence_lines(db, case, limit=_PARTS),
        evidence_total=case.evidence_count,
        evidence_size=await store.evidence_size(db, number),
        waiting=tuple(await store.traces_without_evidence(db, number)),
        alerts=tuple(await store.alerts(db, number)),
        notes=await case_parts.note_views(notes, about, who, adds=above.adds),
        notes_total=case.note_count,
        composer=case_parts.composer(above),
        entities=tuple(await store.named_most(db, number)),
        custody=tuple(CustodyLine.of(link) for link in await store.last_links(db, number, limit=4)),
        custody_total=case.custody_count,
    )
    return render.page(request, "cases/show.html", view)


@router.get("/cases/{case}/edit", dependencies=[needs(Permission.CASE_WRITE)])
async def edit(request: Request, db: Db, who: Who, number: CaseNumber) -> Response:
    case = await store.case(db, number)
    assignee = await people.user_with_id(db, case.assignee_id) if case.assignee_id else None
    form = CaseForm(
        title=case.title, severity=case.severity, tlp=case.tlp, assignee=assignee.name if assignee else "",
        tags=", ".join(case.tags), summary=case.summary, version=case.version,
    )  # fmt: skip
    return render.page(request, "cases/edit.html", await _edit_view(db, who, number, form))


@router.post("/cases/{case}/edit", dependencies=[needs(Permission.CASE_WRITE)])
async def change(
    request: Request, db: Db, who: Who, at: UtcNow, number: CaseNumber, title: Word = "", severity: Word = "", tlp: Word = "",
    assignee: Word = "", tags: Word = "", summary: Text = "", version: Annotated[int, Form()] = 0,
) -> Response:  # fmt: skip
    form = CaseForm(title=title, severity=severity, tlp=tlp, assignee=assignee, tags=tags, summary=summary, version=version)
    changes = Changes(title=title, severity=severity, tlp=tlp, assignee=assignee, tags=tags.split(","), summary=summary)
    try:
        await service.change_case(db, number, changes, version=version, by=who, at=at)
    except (InvalidInput, Conflict) as error:
        view = await _edit_view(db, who, number, with_fault(form, error))
        return render.page(request, "cases/edit.html", view, status=409 if isinstance(error, Conflict) else 422)
    return RedirectResponse(f"/cases/{case_name(number)}", 303)


@router.post("/cases/{case}/status", dependencies=[needs(Permission.CASE_WRITE)])
async def move(db: Db, who: Who, at: UtcNow, number: CaseNumber, status: Word) -> Response:
    await service.change_case(db, number, Changes(status=status), by=who, at=at)
    return RedirectResponse(f"/cases/{case_name(number)}", 303)


@router.get("/cases/{case}/entities", dependencies=[needs(Permission.READ)])
async def entities(request: Request, db: Db, who: Who, number: CaseNumber) -> Response:
    case = await store.case(db, number)
    found = await store.entities(db, number)
    titles = {"user": "Users", "addr": "Addresses", "session": "Sessions", "client": "Clients", "service": "Services"}
    groups = tuple((title, tuple(one for one in found if one[0] == kind)) for kind, title in titles.items())
    above = await case_parts.head(db, case, who, "/entities")
    view = EntitiesView(above, tuple((title, group) for title, group in groups if group))
    return render.page(request, "cases/entities.html", view)


@router.get("/cases/{case}/activity", dependencies=[needs(Permission.READ)])
async def activity(request: Request, db: Db, who: Who, number: CaseNumber) -> Response:
    case = await store.case(db, number)
    rows = await audit.trail(db, ("case", case_name(number)), limit=500)
    view = ActivityView(await case_parts.head(db, case, who, "/activity"), tuple(activity_words(row) for row in rows))
    return render.page(request, "cases/activity.html", view)


async def _edit_view(db: AsyncSession, who: Person, number: int, form: CaseForm) -> EditCaseView:
    case = await store.case(db, number)
    everybody = tuple((one.name, one.display_name) for one in await people.people(db))
    return EditCaseView(await case_parts.head(db, case, who, ""), form, (("", "Nobody"), *everybody))


def with_fault(form: CaseForm, error: AppError) -> CaseForm:
    """The form as it was filled in, with what is wrong beside the field it is about."""
    field = getattr(error, "field", None)
    if field in ("title", "severity", "tlp", "assignee", "tags", "summary"):
        return dataclasses.replace(form, wrong={field: error.sentence})
    return dataclasses.replace(form, problem=error.sentence)
