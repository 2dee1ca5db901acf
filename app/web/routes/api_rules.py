"""Signal rules in the JSON API: those in force, a house's own, and trying one."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from app.analysis.rulebook import Rule
from app.house import book, keeping, store
from app.house.live import LiveRules
from app.house.tables import HouseRuleRow
from app.investigation.judging import Judge
from app.security.roles import Permission
from app.web.deps import Db, TheDatabase, TheRules, UtcNow, Who, needs
from app.web.routes import rule_trial
from app.web.routes.api import FAILURES
from app.web.routes.traces import TheTraces
from app.web.views.rules import RuleLine

router = APIRouter(prefix="/api/v1/rules", tags=["rules"], responses=FAILURES)

Document = Annotated[str, Path(max_length=64)]


class RuleOut(BaseModel):
    """A rule in force."""

    id: str
    system: str
    summary: str
    layer: str
    phase: str
    decisions: list[str]
    origin: str = Field(description="shipped, file, or database")
    file: str = Field(description="The file or house rule it is written in")
    line: int
    house_rule: str | None = Field(description="The house rule of the database it is written in")
    replaces: bool = Field(description="It stands in the place of another of its id")

    @classmethod
    def of(cls, rule: Rule) -> RuleOut:
        return cls(
            id=rule.id, system=rule.system, summary=rule.summary, layer=rule.layer.value, phase=rule.phase.value,
            decisions=[name for name, _ in rule.decisions],
            origin="database" if rule.document else "file" if rule.house else "shipped", file=rule.file, line=rule.line,
            house_rule=rule.document or None, replaces=rule.replaces is not None,
        )  # fmt: skip


class SkippedOut(BaseModel):
    """An enabled house rule that cannot be read any more and is not used."""

    house_rule: str
    name: str
    line: int
    why: str


class RulesOut(BaseModel):
    rules: list[RuleOut] = Field(description="In the order in which they are tried")
    total: int = Field(description="Rules in force, whatever the filter leaves")
    skipped: list[SkippedOut]


class HouseRuleOut(BaseModel):
    """A house rule of the database: one text with one or more rules."""

    id: str
    name: str
    text: str = Field(description="YAML as it was written")
    enabled: bool
    usable: bool = Field(description="False where it is enabled and cannot be read any more")
    version: int = Field(description="Send it back with a change; 409 if somebody was quicker")
    created_at: dt.datetime
    created_by: str
    changed_at: dt.datetime
    changed_by: str

    @classmethod
    def of(cls, row: HouseRuleRow, live: LiveRules) -> HouseRuleOut:
        return cls(
            id=row.id, name=row.name, text=row.text, enabled=row.enabled,
            usable=all(one.document != row.id for one in live.skipped), version=row.version, created_at=row.created_at,
            created_by=row.created_by, changed_at=row.changed_at, changed_by=row.changed_by,
        )  # fmt: skip


class HouseRulesOut(BaseModel):
    house_rules: list[HouseRuleOut]


class NewHouseRule(BaseModel):
    name: str
    text: str
    enabled: bool = True


class HouseRuleChange(BaseModel):
    """Fields that are left out stay as they are."""

    name: str | None = None
    text: str | None = None
    enabled: bool | None = None
    version: int


class ToTry(BaseModel):
    """Rules, and the trace to try them on: a whole one, or the id of one in Tempo."""

    text: str
    name: str = "this text"
    trace: dict[str, Any] | None = Field(None, description="OTLP JSON, or what Tempo's trace route answers")
    trace_id: str = ""
    house_rule: str = Field("", description="The house rule whose place it would take")


_TRIAL = {"description": "As clew rules test --json prints", "content": {"application/json": {"schema": {"type": "object"}}}}


@router.get("", dependencies=[needs(Permission.READ)])
async def in_force(live: TheRules, q: Annotated[str, Query(max_length=200)] = "") -> RulesOut:
    """The rules in force; `q` leaves those in which all its words stand."""
    rules = live.book.rules
    return RulesOut(
        rules=[RuleOut.of(rule) for rule in rules if RuleLine.of(rule).has(q)],
        total=len(rules),
        skipped=[SkippedOut(house_rule=one.document, name=one.name, line=one.line, why=one.why) for one in live.skipped],
    )


@router.post("/try", dependencies=[needs(Permission.RULES_WRITE)], responses={200: _TRIAL}, response_class=Response)
async def try_out(request: Request, live: TheRules, traces: TheTraces, asked: ToTry) -> Response:
    """What rules would make of a trace: the spans they hold for, and the verdict without and with them. Nothing is saved."""
    judge: Judge = request.app.state.judge
    pasted = await asyncio.to_thread(lambda: msgspec.json.encode(asked.trace).decode()) if asked.trace else ""
    trace = await rule_trial.trace_of(traces, pasted, asked.trace_id)
    found = await rule_trial.run(live, judge, book.name_of(asked.name), asked.text, trace, document=asked.house_rule)
    return Response(msgspec.json.encode(found), media_type="application/json")


@router.get("/house", dependencies=[needs(Permission.READ)])
async def house_rules(db: Db, live: TheRules) -> HouseRulesOut:
    """The house rules of the database, by name."""
    return HouseRulesOut(house_rules=[HouseRuleOut.of(row, live) for row in await store.everything(db)])


@router.post("/house", status_code=201, dependencies=[needs(Permission.RULES_WRITE)])
async def add(live: TheRules, who: Who, at: UtcNow, new: NewHouseRule) -> HouseRuleOut:
    """Add a house rule; an enabled one judges at once. A mistake is told with its line."""
    return HouseRuleOut.of(await keeping.add(live, new.name, new.text, enabled=new.enabled, by=who, at=at), live)


@router.get("/house/{rule}", dependencies=[needs(Permission.READ)])
async def one(db: Db, live: TheRules, rule: Document) -> HouseRuleOut:
    return HouseRuleOut.of(await store.one(db, rule), live)


@router.patch("/house/{rule}", dependencies=[needs(Permission.RULES_WRITE)])
async def change(
    database: TheDatabase, live: TheRules, who: Who, at: UtcNow, rule: Document, wanted: HouseRuleChange
) -> HouseRuleOut:
    """Change name or text, put it in force or take it out."""
    async with database.reading() as db:
        row = await store.one(db, rule)
    name = row.name if wanted.name is None else wanted.name
    text = row.text if wanted.text is None else wanted.text
    row = await keeping.change(
        live, rule, name, text, enabled=wanted.enabled, version=wanted.version, by=who, at=at
    )  # fmt: skip
    return HouseRuleOut.of(row, live)


@router.delete("/house/{rule}", status_code=204, dependencies=[needs(Permission.RULES_WRITE)])
async def delete(live: TheRules, who: Who, at: UtcNow, rule: Document, version: Annotated[int, Query(ge=0)]) -> None:
    """Delete a house rule; its history stays."""
    await keeping.delete(live, rule, version=version, by=who, at=at)
