"""The overview's figures as the JSON API gives them out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from pydantic import BaseModel, Field

from app.cases.model import Status
from app.doctor.report import Report
from app.errors import SourceError
from app.investigation.asking import Window
from app.investigation.board import Board
from app.investigation.overview.figures import Point, StepRow
from app.investigation.overview.service import Answer, Layers
from app.times import iso
from app.web.views.overview_now import open_alerts


class AskedOut(BaseModel):
    language: str = Field(description="PromQL or TraceQL")
    query: str
    start: str
    end: str
    step_s: int = Field(description="Seconds of one point of a curve; 0 for one value of the whole window")
    what: str = Field(description="Which earlier time it asks for; empty for the window itself")


class PartOut(BaseModel):
    """figures is null where the source failed; error then says how."""

    basis: str | None = Field(description="metrics count every check; traces are those that were kept")
    figures: Any
    asked: list[AskedOut]
    present: bool = Field(description="False where the source knows no auth checks at all")
    warnings: list[str]
    error: str | None


class AlertCountsOut(BaseModel):
    """whole is false where a source did not answer: there may be more."""

    firing: int
    critical: int
    whole: bool


class CoverageOut(BaseModel):
    score: int
    unchecked: int
    findings: int
    checked: str


class OverviewOut(BaseModel):
    start: str
    end: str
    alerts: AlertCountsOut
    cases: dict[str, int]
    coverage: CoverageOut | None = Field(description="Null until coverage was checked")
    success: PartOut
    sources: PartOut
    names: PartOut
    refusals: PartOut
    layers: PartOut
    latency: PartOut


def overview_out(
    window: Window, board: Board, cases: Mapping[Status, int], report: Report | None,
    parts: Mapping[str, Answer[Any] | SourceError],
) -> OverviewOut:  # fmt: skip
    firing = open_alerts(board)
    critical = sum(alert.severity == "critical" for alert in firing)
    return OverviewOut(
        start=iso(window.start_ns, digits=0),
        end=iso(window.end_ns, digits=0),
        alerts=AlertCountsOut(firing=len(firing), critical=critical, whole=board.whole),
        cases={status.value: count for status, count in cases.items()},
        coverage=_coverage(report),
        **{key: _part(answer) for key, answer in parts.items()},
    )


def _coverage(report: Report | None) -> CoverageOut | None:
    if report is None:
        return None
    return CoverageOut(
        score=report.score.value,
        unchecked=report.score.unchecked,
        findings=len(report.findings),
        checked=iso(report.checked_ns),
    )


def _part(answer: Answer[Any] | SourceError) -> PartOut:
    if isinstance(answer, SourceError):
        return PartOut(basis=None, figures=None, asked=[], present=True, warnings=[], error=answer.sentence)
    asked = [
        AskedOut(
            language=one.language, query=one.query, start=iso(one.window.start_ns, digits=0),
            end=iso(one.window.end_ns, digits=0), step_s=one.step_ns // 10**9, what=one.what,
        )
        for one in answer.asked
    ]  # fmt: skip
    return PartOut(
        basis=answer.basis.value, figures=_plain(answer.figures), asked=asked, present=answer.present,
        warnings=list(answer.warnings), error=None,
    )  # fmt: skip


def _plain(figures: Any) -> Any:
    """The figures as JSON has them, with the shares that they tell."""
    if isinstance(figures, tuple):
        return [_plain(one) for one in figures]
    if isinstance(figures, Layers):
        return {**msgspec.to_builtins(figures), "layers": {layer.value: count for layer, count in figures.layers}}
    if isinstance(figures, Point):
        plain: dict[str, Any] = msgspec.to_builtins(figures)
        del plain["time_ns"]
        return {"until": iso(figures.time_ns, digits=0), **plain, "share": figures.share}
    if isinstance(figures, StepRow):
        return {**msgspec.to_builtins(figures), "slower": figures.slower}
    if isinstance(figures, msgspec.Struct):
        plain = {name: _plain(getattr(figures, name)) for name in figures.__struct_fields__}
        share = getattr(figures, "share", None)
        return {**plain, "share": share} if hasattr(figures, "share") else plain
    return figures
