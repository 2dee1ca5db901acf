"""Deeds on a case, written where they can be checked: in its chain of custody and in the audit log.

Both rows are added in the transaction of the deed, so all three stand or fall together. The case must be locked
(`store.locked`): the chain's head is read from it and moved.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.cases import custody
from app.cases.custody import Action, Facts, Link
from app.cases.model import case_name
from app.cases.tables import CaseRow, CustodyRow
from app.security import audit
from app.security.audit import Act
from app.security.roles import Person
from app.times import from_datetime


async def enter(
    db: AsyncSession,
    case: CaseRow,
    action: Action,
    subject: str,
    *,
    digest: str,
    facts: Facts | None = None,
    by: Person,
    at: dt.datetime,
) -> Link:
    """Append an entry to the case's chain."""
    entry = custody.entry(
        case=case_name(case.number),
        seq=case.custody_count + 1,
        at_ns=from_datetime(at),
        actor=by.name,
        action=action,
        subject=subject,
        digest=digest,
        facts=facts or {},
    )
    link = custody.bind(case.custody_head, entry)
    db.add(CustodyRow(case_number=case.number, seq=link.seq, record=link.record, prev=link.prev, hash=link.hash))
    case.custody_count, case.custody_head = link.seq, link.hash
    await db.flush()
    return link


async def note_act(
    db: AsyncSession, act: Act, case: CaseRow, *, by: Person, at: dt.datetime, detail: Mapping[str, Any] | None = None
) -> None:
    """Write the audit row of a deed on the case, and move the case up among the recently changed."""
    case.changed_at = at
    await audit.record(db, act, by=by, on=("case", case_name(case.number)), at=at, detail=dict(detail or {}))
