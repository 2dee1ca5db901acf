"""The verbs on house rules: add, change, enable, disable, delete. Each leaves a row of history and one of the audit.

They are handed the session, the person and the time, and do not commit. Whether a text is sound is asked before, of
`book.checked`: that takes a moment of computing, during which nobody else must wait for the database.
"""

from __future__ import annotations

import datetime as dt
import hashlib

from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict
from app.house import book, store
from app.house.tables import HouseRuleChangeRow, HouseRuleRow
from app.security import audit
from app.security.audit import Act
from app.security.roles import Person

_ACTS = {
    "added": Act.HOUSE_RULE_ADDED,
    "changed": Act.HOUSE_RULE_CHANGED,
    "enabled": Act.HOUSE_RULE_ENABLED,
    "disabled": Act.HOUSE_RULE_DISABLED,
    "deleted": Act.HOUSE_RULE_DELETED,
}


async def add(db: AsyncSession, name: str, text: str, *, enabled: bool, by: Person, at: dt.datetime) -> HouseRuleRow:
    """A new house rule. Errors: InvalidInput (name, text); Conflict where the name is taken or there are too many."""
    name, text = book.name_of(name), book.text_of(text)
    await _free(db, name)
    if await store.count(db) >= book.MOST_TEXTS:
        raise Conflict(f"There are {book.MOST_TEXTS} house rules already, and no more are kept. Nothing was saved.")
    row = HouseRuleRow(
        name=name, text=text, enabled=enabled, version=1, created_at=at, created_by=by.display_name, changed_at=at,
        changed_by=by.display_name,
    )  # fmt: skip
    db.add(row)
    await db.flush()
    await _remember(db, row, "added", by=by, at=at)
    return row


async def change(
    db: AsyncSession, rule_id: str, name: str, text: str, *, version: int, by: Person, at: dt.datetime
) -> HouseRuleRow:
    """The house rule with another name or text; nothing is recorded where both stay the same.

    version: the one that the form was made of.
    Errors:  Conflict where it was changed since, or the name is taken; InvalidInput; NotFound.
    """
    name, text = book.name_of(name), book.text_of(text)
    row = await _as_seen(db, rule_id, version)
    if (row.name, row.text) == (name, text):
        return row
    if row.name != name:
        await _free(db, name)
    row.name, row.text = name, text
    await _remember(db, _raised(row, by, at), "changed", by=by, at=at)
    return row


async def enable(
    db: AsyncSession, rule_id: str, *, enabled: bool, version: int, by: Person, at: dt.datetime
) -> HouseRuleRow:  # fmt: skip
    """The house rule in force, or not. Errors: Conflict where it was changed since; NotFound."""
    row = await _as_seen(db, rule_id, version)
    if row.enabled != enabled:
        row.enabled = enabled
        await _remember(db, _raised(row, by, at), "enabled" if enabled else "disabled", by=by, at=at)
    return row


async def delete(db: AsyncSession, rule_id: str, *, version: int, by: Person, at: dt.datetime) -> None:
    """The house rule is gone; its history stays. Errors: Conflict where it was changed since; NotFound."""
    row = await _as_seen(db, rule_id, version)
    await _remember(db, _raised(row, by, at), "deleted", by=by, at=at)
    await db.delete(row)
    await db.flush()


async def _as_seen(db: AsyncSession, rule_id: str, version: int) -> HouseRuleRow:
    row = await store.one(db, rule_id, locked=True)
    if row.version != version:
        raise Conflict(f"{row.name} was changed by {row.changed_by} since you opened this page. Nothing was saved.")
    return row


async def _free(db: AsyncSession, name: str) -> None:
    if await store.named(db, name) is not None:
        raise Conflict(f"There is already a house rule {name}. Nothing was saved.")


def _raised(row: HouseRuleRow, by: Person, at: dt.datetime) -> HouseRuleRow:
    row.version += 1
    row.changed_at, row.changed_by = at, by.display_name
    return row


async def _remember(db: AsyncSession, row: HouseRuleRow, act: str, *, by: Person, at: dt.datetime) -> None:
    db.add(
        HouseRuleChangeRow(
            rule_id=row.id,
            version=row.version,
            act=act,
            name=row.name,
            text=row.text,
            enabled=row.enabled,
            at=at,
            by=by.display_name,
        )
    )
    detail = {"name": row.name, "version": row.version, "sha256": hashlib.sha256(row.text.encode()).hexdigest()}
    await audit.record(db, _ACTS[act], by=by, on=("house_rule", row.id), at=at, detail=detail)
