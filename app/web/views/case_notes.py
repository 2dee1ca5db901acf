"""Notes of a case: as they read, being written, and over time."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from markupsafe import Markup

from app.cases import notes
from app.cases.model import note_name
from app.cases.notes import Known
from app.cases.store import Note
from app.cases.tables import NoteRevisionRow
from app.security.roles import Person, Role
from app.times import UnixNanos, from_datetime
from app.web.views.cases import CaseHead, named


@dataclass(frozen=True)
class NoteView:
    """A note as it is shown; `html` went through the sanitiser of app.cases.notes."""

    anchor: str
    author: Person
    written_ns: UnixNanos
    edited_ns: UnixNanos | None
    edited_by: str
    html: Markup
    edit_href: str
    history_href: str

    @classmethod
    def of(cls, note: Note, known: Known, who: Person, *, adds: bool) -> NoteView:
        href = f"/cases/{known.case}/notes/{note.number}"
        mine = note.author_id == who.id or who.role is Role.ADMIN
        return cls(
            anchor=note_name(note.number),
            author=named(note.author),
            written_ns=from_datetime(note.written_at),
            edited_ns=from_datetime(note.edited_at) if note.edited_at else None,
            edited_by=note.edited_by if note.edited_by != note.author else "",
            html=Markup(notes.render(note.text, known)),  # noqa: S704 - rendered through an allow-list
            edit_href=f"{href}/edit" if adds and mine else "",
            history_href=f"{href}/history" if note.revision > 1 else "",
        )


@dataclass(frozen=True)
class Composer:
    """The form to write a note with.

    draft:         the name under which the browser keeps what is being typed
    text, problem: come back from a note that was not taken; `preview` from one that was only to be looked at
    """

    href: str
    draft: str
    text: str = ""
    problem: str = ""
    preview: Markup | None = None
    revision: int = 0
    most: int = notes.MAX_BYTES


@dataclass(frozen=True)
class NotesView:
    head: CaseHead
    notes: tuple[NoteView, ...]
    composer: Composer | None
    total: int
    previous: str
    next: str


@dataclass(frozen=True)
class EditNoteView:
    """newer: what the note says now, where somebody else edited it in the meantime."""

    head: CaseHead
    name: str
    composer: Composer
    newer: str = ""


@dataclass(frozen=True)
class Revision:
    number: int
    author: str
    at_ns: UnixNanos
    lines: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, row: NoteRevisionRow, before: NoteRevisionRow | None) -> Revision:
        return cls(row.revision, row.author, from_datetime(row.at), _changes(before.text if before else "", row.text))


@dataclass(frozen=True)
class NoteHistoryView:
    head: CaseHead
    name: str
    anchor: str
    revisions: tuple[Revision, ...]


def _changes(before: str, after: str) -> tuple[tuple[str, str], ...]:
    """Lines of a text against the text before: kept, added, removed."""
    old, new = before.splitlines()[:1000], after.splitlines()[:1000]
    found = []
    for line in difflib.unified_diff(old, new, lineterm="", n=2):
        if line.startswith(("---", "+++", "@@")):
            continue
        found.append(({"+": "ins", "-": "del"}.get(line[:1], "same"), line[1:]))
    return tuple(found)
