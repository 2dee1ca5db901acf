"""From a trace or an alert into a case: an open one, or a new one.

GET  /cases/add?trace=ID[&trace=ID...]   /cases/add?alert=KEY   asks which case
POST /cases/add                          adds
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Query, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import RedirectResponse, Response

from app.cases import alerts, model, preserve, service, store
from app.cases.alerts import AlertSnapshot
from app.cases.evidence import Capture
from app.cases.model import case_name
from app.errors import InvalidInput, NotFound, SourceError, SourceRefused, SourceUnavailable
from app.investigation.alerts import severity as severity_of
from app.investigation.service import Investigation
from app.security.roles import Permission
from app.traces import ids
from app.web import render
from app.web.deps import Db, Now, TheClients, UtcNow, Who, needs
from app.web.routes.cases import Word, with_fault
from app.web.routes.traces import TheTraces
from app.web.views.cases import AddView, CaseForm

router = APIRouter(include_in_schema=False)

MOST_TRACES = 50  # added at once

# Why a trace was named but not kept; a short word in the address, a sentence on the page.
WHY = {
    "gone": "Tempo has no such trace: not stored, or not any more.",
    "unavailable": "Tempo did not answer.",
    "refused": "Tempo refused to hand it over.",
    "unreadable": "Tempo's answer could not be read.",
}


@dataclass(frozen=True)
class Wanted:
    """What is to be added: traces by id, and an alert as it stands now."""

    traces: tuple[str, ...]
    key: str
    alert: AlertSnapshot | None

    @property
    def words(self) -> str:
        told = [f"the alert {self.alert.name[:80]}"] if self.alert else []
        if len(self.traces) == 1:
            told.append(f"trace {self.traces[0][:8]}")
        elif self.traces:
            told.append(f"{len(self.traces):,} traces")
        return " and ".join(told)


async def _wanted(request: Request, now: Now) -> Wanted:
    """Errors: InvalidInput, NotFound for an alert that nobody knows any more."""
    given: Any = await request.form() if request.method == "POST" else request.query_params
    traces = tuple(dict.fromkeys(ids.trace_id(str(one)) for one in given.getlist("trace")))
    key = str(given.get("alert") or "")[:200]
    if not traces and not key:
        raise InvalidInput("Nothing to add was named: give a trace or an alert.", field="trace")
    if len(traces) > MOST_TRACES:
        raise InvalidInput(f"{len(traces):,} traces were named; at most {MOST_TRACES} are added at once.", field="trace")
    alert = None
    if key:
        investigation: Investigation = request.app.state.investigation
        seen = await investigation.alert(key, now_ns=now)
        alert = alerts.of_episode(seen.alert, read_ns=now)
    return Wanted(traces, key, alert)


WhatIsWanted = Annotated[Wanted, Depends(_wanted)]


@router.get("/cases/add", dependencies=[needs(Permission.CASE_WRITE)])
async def choose(
    request: Request, wanted: WhatIsWanted, db: Db, traces: TheTraces,
    trace: Annotated[list[str] | None, Query(max_length=64)] = None, alert: str = "",
) -> Response:  # fmt: skip
    """Where to put it: the cases that are not closed, or a new one."""
    form = await _first_form(wanted, traces)
    return render.page(request, "cases/add.html", await _view(db, wanted, form))


@router.post("/cases/add", dependencies=[needs(Permission.CASE_WRITE)])
async def add(
    request: Request, wanted: WhatIsWanted, db: Db, who: Who, at: UtcNow, clients: TheClients, traces: TheTraces,
    trace: Annotated[list[str] | None, Form()] = None, alert: Word = "", case: Word = "new", title: Word = "",
    severity: Word = "", tlp: Word = "",
) -> Response:  # fmt: skip
    """Link the alert, keep the traces. A trace that cannot be had now is named, and keeping it can be tried again."""
    backend = await preserve.version_of(clients.tempo) if clients.tempo and wanted.traces else ""
    found = await asyncio.gather(*(collected(traces, one, backend) for one in wanted.traces))
    form = CaseForm(title=title, severity=severity, tlp=tlp)
    try:
        if case == "new":
            number = (await service.open_case(db, title=title, severity=severity, tlp=tlp, by=who, at=at)).number
        else:
            number = model.case_number(case)
        if wanted.alert:
            await service.link_alert(db, number, wanted.alert, by=who, at=at)
        for trace_id, one in zip(wanted.traces, found, strict=True):
            if isinstance(one, Capture):
                await preserve.preserve_trace(db, number, one, by=who, at=at)
            else:
                await service.link_trace(db, number, trace_id, by=who, at=at)
    except InvalidInput as error:
        view = await _view(db, wanted, with_fault(form, error), chosen=case)
        return render.page(request, "cases/add.html", view, status=422)
    failed = next((one for one in found if isinstance(one, str)), "")
    return RedirectResponse(f"/cases/{case_name(number)}{f'/evidence?why={failed}' if failed else ''}", 303)


async def collected(traces: TheTraces, trace_id: str, backend: str) -> Capture | str:
    """The trace, or the word of WHY that tells why it could not be had."""
    try:
        return await preserve.collect(traces, trace_id, backend=backend)
    except NotFound:
        return "gone"
    except SourceUnavailable:
        return "unavailable"
    except SourceRefused:
        return "refused"
    except SourceError:
        return "unreadable"


async def _first_form(wanted: Wanted, traces: TheTraces) -> CaseForm:
    """A new case's first title and severity: what the alert or the verdict says."""
    if wanted.alert:
        title = wanted.alert.summary or wanted.alert.name
        return CaseForm(title=title[: model.MAX_TITLE], severity=severity_of(wanted.alert.labels).value)
    try:
        opened = await traces.open(wanted.traces[0])
    except (NotFound, SourceError):
        return CaseForm()
    return CaseForm(title=opened.verdict.sentence[: model.MAX_TITLE])


async def _view(db: AsyncSession, wanted: Wanted, form: CaseForm, *, chosen: str = "") -> AddView:
    rows = await store.unfinished(db)
    there = await _holding(db, wanted)
    cases = tuple((case_name(row.number), row.title, row.severity, row.number in there) for row in rows)
    return AddView(
        subject=wanted.words,
        traces=wanted.traces,
        alert=wanted.key,
        cases=cases,
        chosen=chosen or (cases[0][0] if cases else "new"),
        form=form,
        back=f"/alerts/{quote(wanted.key, safe='')}" if wanted.key else f"/traces/{wanted.traces[0]}",
    )


async def _holding(db: AsyncSession, wanted: Wanted) -> set[int]:
    """The cases that have it already."""
    rows: Sequence[Any] = ()
    if wanted.alert:
        rows = await store.cases_of_alert(db, wanted.alert.fingerprint, wanted.alert.started_ns)
    elif len(wanted.traces) == 1:
        rows = await store.cases_of_trace(db, wanted.traces[0])
    return {row.number for row in rows}
