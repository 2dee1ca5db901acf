"""Signal rules: what is in force, a house's own, and trying one before it judges anything."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Annotated

from fastapi import APIRouter, Form, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from app.analysis.ruletext import RuleError
from app.errors import AppError, Conflict, InvalidInput, NotFound, SourceError
from app.house import book, keeping, store
from app.house.tables import HouseRuleChangeRow
from app.investigation.judging import Judge
from app.security.roles import Permission
from app.times import from_datetime
from app.web import render
from app.web.deps import Db, TheDatabase, TheRules, UtcNow, Who, needs
from app.web.routes import rule_trial
from app.web.routes.traces import TheTraces
from app.web.views.rules import (
    ChangeLine,
    DeleteView,
    FileLine,
    HistoryView,
    HouseLine,
    Mistake,
    Revision,
    RuleForm,
    RuleLine,
    RulesView,
    house_href,
    house_view,
    rule_view,
    trial_view,
)

router = APIRouter(include_in_schema=False)

_CHANGES = 8
# A form is read up to this, so that a text that is too long comes back with the figures instead of being lost.
_LARGEST_FIELD = 16 * 2**20

Document = Annotated[str, Path(max_length=64)]
Version = Annotated[int, Form(ge=0, le=10**9)]


@router.get("/rules", dependencies=[needs(Permission.READ)])
async def index(request: Request, db: Db, who: Who, live: TheRules, q: Annotated[str, Query(max_length=200)] = "") -> Response:
    rules, skipped = live.book.rules, {one.document: one for one in live.skipped}
    lines = [RuleLine.of(rule) for rule in rules]
    view = RulesView(
        house=tuple(HouseLine.of(row, rules, skipped) for row in await store.everything(db)),
        files=tuple(FileLine.of(file, rules) for file in live.files),
        skipped=tuple((f"{one.name}, line {one.line}: {one.why}", house_href(one.document)) for one in live.skipped),
        lines=tuple(line for line in lines if line.has(q)),
        total=len(lines),
        q=q,
        changes=tuple(ChangeLine.of(row) for row in await store.last_changes(db, limit=_CHANGES)),
        may_change=who.may(Permission.RULES_WRITE),
    )
    return render.page(request, "rules/index.html", view)


@router.get("/rules/rule", dependencies=[needs(Permission.READ)])
async def one_rule(request: Request, who: Who, live: TheRules, id: Annotated[str, Query(max_length=200)] = "") -> Response:
    """A rule in force by its id: what a verdict's `rule` leads to."""
    rule = live.book.by_id.get(id)
    if rule is None:
        raise NotFound("No rule of this id is in force. It may have been renamed, taken out of force or deleted.")
    view = rule_view(rule, live.text_of(rule), may_change=who.may(Permission.RULES_WRITE))
    return render.page(request, "rules/rule.html", view)


@router.get("/rules/new", dependencies=[needs(Permission.RULES_WRITE)])
async def new(
    request: Request, live: TheRules, db: Db, like: Annotated[str, Query(max_length=200)] = "",
    change: Annotated[int, Query(ge=0, le=2**62)] = 0,
) -> Response:  # fmt: skip
    """An empty form, or one that begins with a rule in force, or with what a house rule once said."""
    form = RuleForm()
    if (rule := live.book.by_id.get(like)) is not None:
        form = RuleForm(name=book.name_from(like), text=f"rules:\n{live.text_of(rule)}\n")
    elif change:
        row = await store.change(db, change)
        form = RuleForm(name=row.name, text=row.text)
    return render.page(request, "rules/edit.html", form)


@router.post("/rules", dependencies=[needs(Permission.RULES_WRITE)])
async def create(request: Request, who: Who, at: UtcNow, live: TheRules) -> Response:
    form = await _filled_in(request)
    try:
        row = await keeping.add(live, form.name, form.text, enabled=form.enabled, by=who, at=at)
    except (InvalidInput, Conflict) as error:
        return _again(request, _with_fault(form, error), error)
    return RedirectResponse(f"{house_href(row.id)}?saved=rule-new", 303)


@router.post("/rules/try", dependencies=[needs(Permission.RULES_WRITE)])
async def try_out(request: Request, live: TheRules, traces: TheTraces) -> Response:
    """What a text would make of a trace. Nothing is saved."""
    form = await _filled_in(request)
    judge: Judge = request.app.state.judge
    try:
        name = book.name_of(form.name) if form.name.strip() else "this text"
        trace = await rule_trial.trace_of(traces, form.trace, form.trace_id)
        trial = await rule_trial.run(live, judge, name, form.text, trace, document=form.document)
    except (InvalidInput, NotFound, SourceError) as error:
        return _again(request, _with_fault(form, error), error)
    href = f"/traces/{trace.trace_id}" if form.trace_id.strip() else ""
    found = trial_view(trial, spans=len(trace), href=href)
    return render.page(request, "rules/edit.html", dataclasses.replace(form, trial=found))


# ---------------------------------------------------------------------------------------------------- one house rule


@router.get("/rules/{rule}", dependencies=[needs(Permission.READ)])
async def show(request: Request, db: Db, who: Who, live: TheRules, rule: Document) -> Response:
    row = await store.one(db, rule)
    skipped = {one.document: one for one in live.skipped}
    view = house_view(row, live.book.rules, skipped, may_change=who.may(Permission.RULES_WRITE))
    return render.page(request, "rules/show.html", view)


@router.get("/rules/{rule}/edit", dependencies=[needs(Permission.RULES_WRITE)])
async def edit(request: Request, db: Db, live: TheRules, rule: Document) -> Response:
    row = await store.one(db, rule)
    form = RuleForm(name=row.name, text=row.text, enabled=row.enabled, version=row.version, document=row.id)
    why = next((one for one in live.skipped if one.document == row.id), None)
    if why is not None:
        form = _with_fault(form, RuleError(row.name, why.line, why.why))
    return render.page(request, "rules/edit.html", dataclasses.replace(form, kept=False))


@router.post("/rules/{rule}/edit", dependencies=[needs(Permission.RULES_WRITE)])
async def change(request: Request, database: TheDatabase, who: Who, at: UtcNow, live: TheRules, rule: Document) -> Response:
    form = dataclasses.replace(await _filled_in(request), document=rule)
    try:
        await keeping.change(live, rule, form.name, form.text, version=form.version, by=who, at=at)
    except (InvalidInput, Conflict) as error:
        form = _with_fault(form, error)
        async with database.reading() as db:
            now = await store.one(db, rule)
        if now.version != form.version:
            # Saving again, having seen the newer text, is meant: the form then stands on the newer version.
            form = dataclasses.replace(form, version=now.version, newer=now.text)
        return _again(request, form, error)
    except NotFound as error:
        gone = f"{error.sentence} What you wrote is below; saved, it becomes a new one."
        form = dataclasses.replace(form, document="", version=0, problem=gone, kept=True)
        return render.page(request, "rules/edit.html", form, status=404)
    return RedirectResponse(f"{house_href(rule)}?saved=rule-{rule}", 303)


@router.post("/rules/{rule}/enabled", dependencies=[needs(Permission.RULES_WRITE)])
async def enable(
    request: Request, database: TheDatabase, who: Who, at: UtcNow, live: TheRules, rule: Document,
    enabled: Annotated[bool, Form()] = False, version: Version = 0,
) -> Response:  # fmt: skip
    try:
        await keeping.enable(live, rule, enabled=enabled, version=version, by=who, at=at)
    except RuleError as error:
        async with database.reading() as db:
            row = await store.one(db, rule)
        form = RuleForm(name=row.name, text=row.text, enabled=False, version=row.version, document=row.id)
        problem = "It cannot be put in force as it is. Nothing was changed."
        return _again(request, dataclasses.replace(_with_fault(form, error), problem=problem), error)
    return RedirectResponse(house_href(rule), 303)


@router.get("/rules/{rule}/delete", dependencies=[needs(Permission.RULES_WRITE)])
async def ask_delete(request: Request, db: Db, rule: Document) -> Response:
    row = await store.one(db, rule)
    return render.page(request, "rules/delete.html", DeleteView(row.name, house_href(row.id), row.version, row.enabled))


@router.post("/rules/{rule}/delete", dependencies=[needs(Permission.RULES_WRITE)])
async def delete(who: Who, at: UtcNow, live: TheRules, rule: Document, version: Version = 0) -> Response:
    await keeping.delete(live, rule, version=version, by=who, at=at)
    return RedirectResponse("/rules", 303)


@router.get("/rules/{rule}/history", dependencies=[needs(Permission.READ)])
async def history(request: Request, db: Db, who: Who, rule: Document) -> Response:
    """Every version, also of a house rule that was deleted."""
    rows = await store.changes(db, rule)
    may = who.may(Permission.RULES_WRITE)
    before: list[HouseRuleChangeRow | None] = [*rows[1:], None]
    revisions = tuple(_revision(row, old, may) for row, old in zip(rows, before, strict=True))
    gone = rows[0].act == "deleted"
    return render.page(request, "rules/history.html", HistoryView(rows[0].name, "" if gone else house_href(rule), revisions))


def _revision(row: HouseRuleChangeRow, old: HouseRuleChangeRow | None, may_change: bool) -> Revision:
    now, then = row.text.splitlines(), old.text.splitlines() if old is not None else []
    kinds = {"+": "ins", "-": "del"}
    diff = [(kinds.get(line[0], "same"), line[1:]) for line in list(difflib.unified_diff(then, now, n=2, lineterm=""))[3:]]
    return Revision(
        version=row.version,
        did=ChangeLine.of(row).did,
        name=row.name,
        by=row.by,
        at_ns=from_datetime(row.at),
        enabled=row.enabled,
        diff=tuple(diff),
        restore_href=f"/rules/new?change={row.id}" if may_change else "",
    )


# ------------------------------------------------------------------------------------------------------------ the form


async def _filled_in(request: Request) -> RuleForm:
    """The form as it was sent: several fields, one of which may be a large trace."""
    async with request.form(max_files=0, max_fields=20, max_part_size=_LARGEST_FIELD) as sent:
        given = {name: value if isinstance(value, str) else "" for name, value in sent.items()}
    version = given.get("version", "")
    return RuleForm(
        name=given.get("name", ""),
        text=given.get("text", "").replace("\r\n", "\n"),
        enabled=given.get("enabled") == "1",
        version=int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0,
        document=given.get("document", "")[:32],
        trace=given.get("trace", ""),
        trace_id=given.get("trace_id", ""),
        kept=True,
    )


def _with_fault(form: RuleForm, error: AppError) -> RuleForm:
    """The form with what is wrong beside the place it is about."""
    if isinstance(error, RuleError):
        return dataclasses.replace(form, mistake=Mistake.of(error, form.text))
    field = getattr(error, "field", None)
    if field in ("name", "text", "trace", "trace_id"):
        return dataclasses.replace(form, wrong={field: error.sentence})
    return dataclasses.replace(form, problem=error.sentence)


def _again(request: Request, form: RuleForm, error: AppError) -> Response:
    status = 409 if isinstance(error, Conflict) else 422 if isinstance(error, InvalidInput) else 200
    return render.page(request, "rules/edit.html", form, status=status)
