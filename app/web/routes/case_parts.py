"""What the handlers of cases share: the case in the address, what stands above its parts, and its parts as views."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Annotated

from fastapi import Depends, Path
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncSession

from app.cases import model, store
from app.cases import notes as markdown
from app.cases.notes import Known
from app.cases.store import Filter, Note, Shown, Total
from app.cases.tables import CaseRow
from app.cases.timeline import Kind
from app.security.roles import Person
from app.web.views import case_picture
from app.web.views.case_evidence import EvidenceLine
from app.web.views.case_notes import Composer, NoteView
from app.web.views.case_picture import DRAWN, FEW, Picture, Window
from app.web.views.case_timeline import KIND_WORDS, PAGE, EventLine, TimelineView
from app.web.views.cases import CaseHead, page_href

_STORY = 12  # rows of the timeline on the overview
_MOST_SIGNS = 80


def _number(case: str) -> int:
    return model.case_number(case)


# `/cases/{case}/...`: CASE-0042, or 42. Errors: NotFound for anything else.
CaseNumber = Annotated[int, Depends(_number)]


# The number of an item or a note of a case, within what the databases' integers hold.
Numbered = Annotated[int, Path(ge=1, le=2**31 - 1)]


async def head(db: AsyncSession, case: CaseRow, who: Person, tab: str) -> CaseHead:
    """What stands above the part `tab` of a case ("" is the overview)."""
    people = await store.names_of_people(db, [case.assignee_id]) if case.assignee_id else {}
    return CaseHead.of(
        case,
        who,
        tab=tab,
        assignee=people.get(case.assignee_id or "", ""),
        events=await store.count_events(db, case.number, Filter()),
    )


async def known(db: AsyncSession, case: CaseRow, texts: Iterable[str]) -> Known:
    """What these texts of a case can point at."""
    numbers, trace_ids = markdown.references(texts)
    there = sorted(number for number in numbers if number <= case.evidence_count)
    outcomes = await store.outcomes(db, case.number, there) if there else {}
    traces = await store.outcomes_of_traces(db, case.number, sorted(trace_ids)) if trace_ids else {}
    return Known(model.case_name(case.number), {number: outcomes.get(number, "") for number in there}, traces)


async def note_views(notes: list[Note], about: Known, who: Person, *, adds: bool) -> tuple[NoteView, ...]:
    """Notes, rendered in a thread: a full one of the worst kind takes a second."""
    return await asyncio.to_thread(lambda: tuple(NoteView.of(note, about, who, adds=adds) for note in notes))


async def prose(text: str, about: Known) -> Markup | None:
    """Text written like a note, rendered; None for none."""
    if not text:
        return None
    return Markup(await asyncio.to_thread(markdown.render, text, about))  # noqa: S704 - rendered through an allow-list


def composer(above: CaseHead, *, text: str = "", problem: str = "", preview: Markup | None = None) -> Composer | None:
    """The form for a new note, for those who may write one. A text that was not taken comes back in any case."""
    if not above.adds and not text:
        return None
    return Composer(f"{above.href}/notes", f"{above.name}-new", text=text, problem=problem, preview=preview)


async def evidence_lines(db: AsyncSession, case: CaseRow, *, limit: int, offset: int = 0) -> tuple[EvidenceLine, ...]:
    items = await store.evidence_items(db, case.number, limit=limit, offset=offset)
    outcomes = await store.outcomes(db, case.number, [kept.item.number for kept in items])
    name = model.case_name(case.number)
    return tuple(EvidenceLine.of(kept, name, outcomes.get(kept.item.number, "")) for kept in items)


async def story(db: AsyncSession, above: CaseHead, number: int) -> TimelineView:
    """The timeline as the overview shows it: the events that were chosen, else the first of what happened."""
    totals = await store.totals(db, number)
    total, starred = _count(totals, Filter()), _count(totals, Filter(starred=True))
    which = Filter(starred=True) if starred else Filter(kinds=DRAWN)
    events = await store.events(db, number, which, limit=PAGE if starred else _STORY)
    if starred:
        note = f"The story: {starred:,} of {total:,} events chosen"
    elif total > len(events):
        note = f"The first {len(events):,} of {total:,} events; star those that tell the story"
    else:
        note = _events(total)
    scopes = (("Story", above.href, True), ("Everything", f"{above.href}/timeline", False))
    return TimelineView(
        head=above, picture=await picture(db, number, totals), lines=_lines(events, above), note=note, scopes=scopes,
        filters=(), back=above.href, previous="", next="", page=1, pages=1, total=total,
    )  # fmt: skip


async def timeline(
    db: AsyncSession, above: CaseHead, number: int, *, kind: Kind | None, starred: bool, hidden: bool, page: int
) -> TimelineView:
    """One page of the timeline, filtered as asked."""
    totals = await store.totals(db, number)
    which = Filter(kinds=(kind,) if kind else (), starred=starred, hidden=hidden)
    total = _count(totals, which)
    pages = max(1, -(-total // PAGE))
    page = min(page, pages)
    events = await store.events(db, number, which, limit=PAGE, offset=(page - 1) * PAGE)
    path = f"{above.href}/timeline"
    given = {"kind": kind.value if kind else "", "starred": starred, "hidden": hidden}

    def href(page: int = 1, **changed: str | bool) -> str:
        asked = {**given, **changed}
        return page_href(path, page, **{name: "1" if value is True else value for name, value in asked.items()})

    unseen = _count(totals, Filter(hidden=True)) - _count(totals, Filter())
    scopes = [
        ("Everything", href(starred=False, hidden=False), not starred and not hidden),
        ("Story", href(starred=True, hidden=False), starred),
    ]
    if unseen or hidden:
        scopes.append((f"With {unseen:,} hidden", href(starred=False, hidden=True), hidden))
    filters = [(Markup("All kinds"), href(kind=""), kind is None)]
    for one, word in KIND_WORDS.items():
        if count := _count(totals, Filter(kinds=(one,), starred=starred, hidden=hidden)):
            label = Markup('{} <span class="count">{:,}</span>').format(word, count)
            filters.append((label, href(kind=one.value), kind is one))
    first = (page - 1) * PAGE
    shown = f"{first + 1:,} to {first + len(events):,} of {total:,}" if pages > 1 else _events(total)
    return TimelineView(
        head=above, picture=await picture(db, number, totals), lines=_lines(events, above), note=shown, scopes=tuple(scopes),
        filters=tuple(filters), back=href(page), previous=href(page - 1) if page > 1 else "",
        next=href(page + 1) if page < pages else "", page=page, pages=pages, total=total,
    )  # fmt: skip


async def picture(db: AsyncSession, number: int, totals: Sequence[Total]) -> Picture | None:
    """The whole timeline drawn, whatever part of it is listed; None before anything happened in it."""
    which = Filter(kinds=DRAWN)
    drawn = _matching(totals, which)
    if not drawn:
        return None
    window = Window.around(min(one.first_ns for one in drawn), max(one.last_ns for one in drawn))
    total = sum(one.count for one in drawn)
    # Signs for all where they have room; else for those chosen for the story.
    signs = await store.events(db, number, which if total <= FEW else Filter(kinds=DRAWN, starred=True), limit=_MOST_SIGNS)
    return case_picture.draw(
        window,
        buckets=await store.density(db, number, which, start_ns=window.start_ns, slot_ns=window.slot_ns),
        alerts=[linked.snapshot for linked in await store.alerts(db, number)],
        chosen=[shown.event for shown in signs],
        total=total,
    )


def _matching(totals: Sequence[Total], which: Filter) -> list[Total]:
    return [
        one
        for one in totals
        if (which.hidden or not one.hidden)
        and (one.starred or not which.starred)
        and (not which.kinds or one.kind in which.kinds)
    ]


def _count(totals: Sequence[Total], which: Filter) -> int:
    return sum(one.count for one in _matching(totals, which))


def _events(count: int) -> str:
    return f"{count:,} event{'' if count == 1 else 's'}"


def _lines(events: list[Shown], above: CaseHead) -> tuple[EventLine, ...]:
    before = [None, *events]
    return tuple(EventLine.of(shown, above.name, last) for shown, last in zip(events, before, strict=False))


def attachment(name: str) -> str:
    """Content-Disposition of a file whose name is made of our own words."""
    return f'attachment; filename="{name}"'
