"""Giving a case's timeline out: written whole first, recorded with its hash, then handed over.

Writing first has a price, the wait for the first byte, and buys three things: the record holds the SHA-256 of what was
given out, a file that breaks off shows by its length, and a slow reader holds no database transaction. The file goes
through a temporary one on disk, so its length costs no memory.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import AsyncIterator
from typing import IO

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from app.cases import formats, ledger, store
from app.cases.custody import Action, Link
from app.cases.formats import Sheet
from app.cases.model import Format, case_name
from app.cases.store import Filter
from app.cases.timeline import Event
from app.security.audit import Act
from app.security.roles import Person


class Written(msgspec.Struct, frozen=True):
    """A file of events. `left_out` counts the hidden events that are not in it."""

    name: str
    media_type: str
    form: Format
    events: int
    left_out: int
    size: int
    sha256: str


async def write(
    db: AsyncSession, number: int, form: Format, into: IO[bytes], *, public_url: str = "", hidden: bool = False
) -> Written:
    """Write the timeline of a case, every event of it, as one state of the case. Errors: NotFound."""
    case = await store.case(db, number)
    name = case_name(case.number)
    shown = await store.count_events(db, number, Filter())
    everything = await store.count_events(db, number, Filter(hidden=True))
    counted = _Counted(store.stream_events(db, number, Filter(hidden=hidden)))
    digest, size = hashlib.sha256(), 0
    async for chunk in formats.written(counted.events(), form, Sheet(name, public_url)):
        into.write(chunk)
        digest.update(chunk)
        size += len(chunk)
    return Written(
        name=formats.file_name(name, form),
        media_type=formats.MEDIA_TYPE[form],
        form=form,
        events=counted.count,
        left_out=0 if hidden else everything - shown,
        size=size,
        sha256=digest.hexdigest(),
    )


async def record(db: AsyncSession, number: int, written: Written, *, by: Person, at: dt.datetime) -> Link:
    """Write down that the file was given out; to be committed before its first byte leaves.

    The link returned is the chain's new head: print it with the export, and a chain cut short later can be told.
    """
    case = await store.locked(db, number)
    facts = {"format": written.form.value, "events": written.events, "left_out": written.left_out, "bytes": written.size}
    link = await ledger.enter(
        db, case, Action.TIMELINE_EXPORTED, written.name, digest=written.sha256, facts=facts, by=by, at=at
    )
    await ledger.note_act(db, Act.CASE_EXPORTED, case, by=by, at=at,
                          detail={**facts, "file": written.name, "sha256": written.sha256})  # fmt: skip
    return link


class _Counted:
    """An iterator that knows how much of it went by."""

    def __init__(self, source: AsyncIterator[Event]) -> None:
        self._source = source
        self.count = 0

    async def events(self) -> AsyncIterator[Event]:
        async for event in self._source:
            self.count += 1
            yield event
