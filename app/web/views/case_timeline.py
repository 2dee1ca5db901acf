"""The timeline of a case, as rows and as a picture."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from app.analysis.verdict import Outcome
from app.cases.store import Shown
from app.cases.timeline import Kind
from app.times import DAY, UnixNanos
from app.web import words
from app.web.views import case_picture
from app.web.views.case_picture import Picture
from app.web.views.cases import CaseHead

PAGE = 100  # rows on one page

KIND_WORDS = {
    Kind.DECISION: "Decisions",
    Kind.EFFECT: "What changed",
    Kind.ALERT: "Alerts",
    Kind.ENTERED: "Entered by hand",
    Kind.NOTE: "Notes",
    Kind.EVIDENCE: "Captures",
}


@dataclass(frozen=True)
class Ref:
    """A chip: what it stands for, where it leads, with its frozen verdict."""

    kind: str
    name: str
    href: str
    verdict: str = ""


@dataclass(frozen=True)
class EventLine:
    """One row of a timeline.

    tone, symbol: the sign before it; word: the same for those who do not see it
    as_sent_ns:   the time by its own clock, where that was corrected
    new_day:      its day is another than that of the row above
    """

    id: str
    anchor: str
    occurred_ns: UnixNanos
    observed_ns: UnixNanos
    captured_ns: UnixNanos
    as_sent_ns: UnixNanos | None
    tone: str
    symbol: str
    word: str
    title: str
    detail: str
    layer: str
    refs: tuple[Ref, ...]
    starred: bool
    hidden: bool
    denial: bool
    new_day: bool

    @classmethod
    def of(cls, shown: Shown, case: str, before: Shown | None) -> EventLine:
        event = shown.event
        tone, symbol = case_picture.sign(event)
        refs = []
        if event.trace_id:
            span = f"?span={event.span_id}" if event.span_id else ""
            refs.append(Ref("trace", event.trace_id[:8], f"/traces/{event.trace_id}{span}", event.outcome or ""))
        if event.evidence is not None:
            refs.append(Ref("evidence", f"E{event.evidence}", f"/cases/{case}/evidence/{event.evidence}"))
        if event.kind is Kind.NOTE:
            number = event.key.partition(":")[2]
            refs.append(Ref("note", f"N{number}", f"/cases/{case}/notes#N{number}"))
        # A note's whole text is its detail; the row has its beginning in the title already.
        detail = "" if event.kind is Kind.NOTE else event.detail
        return cls(
            id=shown.id,
            anchor=f"e-{shown.id}",
            occurred_ns=UnixNanos(event.occurred_ns),
            observed_ns=UnixNanos(event.observed_ns),
            captured_ns=UnixNanos(event.captured_ns),
            as_sent_ns=UnixNanos(event.occurred_ns - event.shift_ns) if event.shift_ns else None,
            tone=tone,
            symbol=symbol,
            word=event.desc,
            title=event.title,
            detail=detail,
            layer=words.layer(event.layer) or {Kind.ALERT: "Alert", Kind.ENTERED: "Entered by hand"}.get(event.kind, ""),
            refs=tuple(refs),
            starred=event.starred,
            hidden=event.hidden,
            new_day=before is None or event.occurred_ns // DAY != before.event.occurred_ns // DAY,
            denial=event.outcome in (Outcome.DENIED, Outcome.PARTIALLY_DENIED, Outcome.BYPASSED),
        )


@dataclass(frozen=True)
class TimelineView:
    """A stretch of the timeline.

    note:    how many of how many, and how chosen
    filters: kinds as words, count, address, whether shown; scopes: story, everything, hidden too
    """

    head: CaseHead
    picture: Picture | None
    lines: tuple[EventLine, ...]
    note: str
    scopes: tuple[tuple[str, str, bool], ...]
    filters: tuple[tuple[Markup, str, bool], ...]
    back: str
    previous: str
    next: str
    page: int
    pages: int
    total: int
