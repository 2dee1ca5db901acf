"""What is recorded of what people do, in the same transaction as the deed: both stand, or neither does.

await audit.record(db, Act.CASE_OPENED, by=person, on=("case", case.id), detail={"title": title}, at=now)
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.security.roles import Person
from app.security.tables import AuditRow


class Act(enum.StrEnum):
    """Everything that leaves an audit row."""

    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGNED_OUT = "signed_out"
    USER_ADDED = "user_added"
    USER_ROLE_CHANGED = "user_role_changed"
    USER_PASSWORD_SET = "user_password_set"  # noqa: S105 - the name of an act
    USER_DISABLED = "user_disabled"
    USER_ENABLED = "user_enabled"

    ALERT_RECEIVED = "alert_received"
    ALERT_ACKNOWLEDGED = "alert_acknowledged"
    ALERT_ASSIGNED = "alert_assigned"

    CASE_OPENED = "case_opened"
    CASE_CHANGED = "case_changed"
    CASE_LINKED = "case_linked"
    CASE_EXPORTED = "case_exported"
    NOTE_ADDED = "note_added"
    NOTE_CHANGED = "note_changed"
    EVIDENCE_ADDED = "evidence_added"
    EVIDENCE_VERIFIED = "evidence_verified"
    EVIDENCE_DOWNLOADED = "evidence_downloaded"
    EVENT_ADDED = "event_added"
    EVENT_CHANGED = "event_changed"

    HOUSE_RULE_ADDED = "house_rule_added"
    HOUSE_RULE_CHANGED = "house_rule_changed"
    HOUSE_RULE_ENABLED = "house_rule_enabled"
    HOUSE_RULE_DISABLED = "house_rule_disabled"
    HOUSE_RULE_DELETED = "house_rule_deleted"


async def record(
    db: AsyncSession,
    act: Act,
    *,
    by: Person,
    on: tuple[str, str],
    at: dt.datetime,
    detail: dict[str, Any] | None = None,
    address: str = "",
) -> None:
    """Add the row for one deed.

    on:      kind and id of what it was done to.
    address: where from, for deeds at the door.
    """
    kind, subject = on
    db.add(
        AuditRow(
            at=at,
            act=act.value,
            actor_id=by.id,
            actor_name=by.name,
            subject_kind=kind,
            subject_id=subject[:80],
            address=address[:45],
            detail=detail or {},
        )
    )
    # Written now, so that a failure to record undoes the deed here and not after the answer was prepared.
    await db.flush()


async def trail(db: AsyncSession, on: tuple[str, str], *, limit: int = 200) -> Sequence[AuditRow]:
    """What was done to one thing, newest first."""
    kind, subject = on
    rows = select(AuditRow).where(AuditRow.subject_kind == kind, AuditRow.subject_id == subject)
    return (await db.scalars(rows.order_by(AuditRow.id.desc()).limit(limit))).all()
