"""The list of cases, what stands above every part of one, and the forms to open, change and add to it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from markupsafe import Markup

from app.cases.model import Format, Severity, Status, Tlp, case_name
from app.cases.tables import CaseRow
from app.security.roles import Permission, Person, Role
from app.times import UnixNanos, from_datetime

STATUS_WORDS = {Status.OPEN: "Open", Status.CONTAINED: "Contained", Status.CLOSED: "Closed"}
FORMAT_WORDS = (
    (Format.CSV, "CSV for a spreadsheet", ".csv"),
    (Format.JSONL, "JSON Lines", ".jsonl"),
    (Format.TIMESKETCH_CSV, "CSV for Timesketch", ".csv"),
)


def named(name: str) -> Person:
    """A name from a record as ui.person shows people."""
    return Person(id="", name=name, display_name=name, role=Role.VIEWER)


@dataclass(frozen=True)
class CaseHead:
    """What stands above every part of a case.

    tabs:   words, address, whether it is this one
    moves:  status to go to, and the word on its button
    adds:   notes, events and evidence may be added: the role allows it and the case is not closed
    """

    name: str
    href: str
    title: str
    status: str
    status_words: str
    severity: str
    tlp: str
    assignee: Person | None
    tags: tuple[str, ...]
    opened_ns: UnixNanos
    opened_by: str
    closed_ns: UnixNanos | None
    version: int
    tabs: tuple[tuple[Markup, str, bool], ...]
    moves: tuple[tuple[str, str], ...]
    formats: tuple[tuple[Format, str, str], ...]
    changes: bool
    adds: bool
    exports: bool

    @classmethod
    def of(cls, case: CaseRow, who: Person, *, tab: str, assignee: str, events: int) -> CaseHead:
        href = f"/cases/{case_name(case.number)}"
        status = Status(case.status)
        parts = (
            ("Overview", "", None),
            ("Timeline", "/timeline", events),
            ("Evidence", "/evidence", case.evidence_count),
            ("Notes", "/notes", case.note_count),
            ("Entities", "/entities", None),
            ("Custody", "/custody", case.custody_count),
            ("Activity", "/activity", None),
        )
        count = Markup('{} <span class="count">{:,}</span>')
        tabs = tuple(
            (Markup.escape(word) if number is None else count.format(word, number), href + path, path == tab)
            for word, path, number in parts
        )
        moves = {
            Status.OPEN: ((Status.CONTAINED, "Contain"), (Status.CLOSED, "Close")),
            Status.CONTAINED: ((Status.OPEN, "Reopen"), (Status.CLOSED, "Close")),
            Status.CLOSED: ((Status.OPEN, "Reopen"),),
        }[status]
        writes = who.may(Permission.CASE_WRITE)
        return cls(
            name=case_name(case.number),
            href=href,
            title=case.title,
            status=case.status,
            status_words=STATUS_WORDS[status],
            severity=case.severity,
            tlp=case.tlp,
            assignee=named(assignee) if assignee else None,
            tags=tuple(case.tags),
            opened_ns=from_datetime(case.opened_at),
            opened_by=case.opened_by,
            closed_ns=from_datetime(case.closed_at) if case.closed_at else None,
            version=case.version,
            tabs=tabs,
            moves=tuple((move.value, word) for move, word in moves) if writes else (),
            formats=FORMAT_WORDS,
            changes=writes,
            adds=writes and status is not Status.CLOSED,
            exports=who.may(Permission.CASE_EXPORT),
        )


# The list


@dataclass(frozen=True)
class CaseLine:
    """One case in the list."""

    name: str
    href: str
    title: str
    status: str
    status_words: str
    severity: str
    assignee: Person | None
    tags: tuple[str, ...]
    evidence: int
    notes: int
    opened_ns: UnixNanos
    opened_by: str
    changed_ns: UnixNanos

    @classmethod
    def of(cls, case: CaseRow, people: Mapping[str, str]) -> CaseLine:
        assignee = people.get(case.assignee_id or "")
        return cls(
            name=case_name(case.number),
            href=f"/cases/{case_name(case.number)}",
            title=case.title,
            status=case.status,
            status_words=STATUS_WORDS[Status(case.status)],
            severity=case.severity,
            assignee=named(assignee) if assignee else None,
            tags=tuple(case.tags),
            evidence=case.evidence_count,
            notes=case.note_count,
            opened_ns=from_datetime(case.opened_at),
            opened_by=case.opened_by,
            changed_ns=from_datetime(case.changed_at),
        )


@dataclass(frozen=True)
class CasesView:
    """The list of cases. `filters` are words, address, whether shown; `total` counts the cases of the filter."""

    lines: tuple[CaseLine, ...]
    filters: tuple[tuple[str, str, bool], ...]
    status: str
    total: int
    everything: int
    page: int
    pages: int
    previous: str
    next: str
    may_open: bool


# Forms


@dataclass(frozen=True)
class CaseForm:
    """The fields of a new or changed case. `wrong` maps a field to what is wrong with it; `problem` is about the whole."""

    title: str = ""
    severity: str = Severity.WARNING.value
    tlp: str = Tlp.AMBER.value
    assignee: str = ""
    tags: str = ""
    summary: str = ""
    version: int = 0
    wrong: Mapping[str, str] | None = None
    problem: str = ""

    @property
    def wrongs(self) -> Mapping[str, str]:
        return self.wrong or {}

    @property
    def severities(self) -> list[tuple[str, str]]:
        return [(one.value, one.value.capitalize()) for one in Severity]

    @property
    def tlps(self) -> list[tuple[str, str]]:
        return [(one.value, one.value) for one in Tlp]


@dataclass(frozen=True)
class NewCaseView:
    form: CaseForm


@dataclass(frozen=True)
class EditCaseView:
    head: CaseHead
    form: CaseForm
    people: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class EventFormView:
    """The form for an event entered by hand; what was typed stays in it."""

    head: CaseHead
    occurred: str
    title: str = ""
    detail: str = ""
    wrong: Mapping[str, str] | None = None
    problem: str = ""

    @property
    def wrongs(self) -> Mapping[str, str]:
        return self.wrong or {}


# Adding from elsewhere


@dataclass(frozen=True)
class AddView:
    """Where to put a trace or an alert.

    subject:   what is to be added, in words
    traces, alert: what travels in the form
    cases:     those that can be added to: name, title, whether it is there already
    chosen:    the case picked before something was wrong
    """

    subject: str
    traces: tuple[str, ...]
    alert: str
    cases: tuple[tuple[str, str, str, bool], ...]
    chosen: str
    form: CaseForm
    back: str


def page_href(path: str, page: int, **given: str | int | bool | None) -> str:
    """An address with its query, without what is empty."""
    query = {key: value for key, value in {**given, "page": page if page > 1 else None}.items() if value}
    return f"{path}?{urlencode(query)}" if query else path


def local_now(at: dt.datetime) -> str:
    """A time as a form field shows it: 2026-11-21 03:09:40."""
    return at.strftime("%Y-%m-%d %H:%M:%S")
