"""The questions asked of the house rules' rows, one function each."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.analysis.rulebook import RuleText
from app.errors import NotFound
from app.house.tables import HouseRuleChangeRow, HouseRuleRow


async def everything(db: AsyncSession) -> Sequence[HouseRuleRow]:
    """All house rules by name."""
    return (await db.scalars(select(HouseRuleRow).order_by(HouseRuleRow.name))).all()


async def one(db: AsyncSession, rule_id: str, *, locked: bool = False) -> HouseRuleRow:
    """One house rule; `locked` until the transaction ends. Errors: NotFound."""
    asked = select(HouseRuleRow).where(HouseRuleRow.id == rule_id[:32])
    row = await db.scalar(asked.with_for_update() if locked else asked)
    if row is None:
        raise NotFound("There is no such house rule. It may have been deleted.")
    return row


async def named(db: AsyncSession, name: str) -> HouseRuleRow | None:
    return await db.scalar(select(HouseRuleRow).where(HouseRuleRow.name == name))


async def count(db: AsyncSession) -> int:
    return await db.scalar(select(func.count()).select_from(HouseRuleRow)) or 0


async def enabled(db: AsyncSession) -> list[RuleText]:
    """The texts in force, the longest known first: of two that give the same id, the older one stays."""
    asked = select(HouseRuleRow).where(HouseRuleRow.enabled).order_by(HouseRuleRow.created_at, HouseRuleRow.id)
    return [RuleText(row.name, row.text, row.id) for row in await db.scalars(asked)]


async def changes(db: AsyncSession, rule_id: str) -> Sequence[HouseRuleChangeRow]:
    """The history of one house rule, newest first, also of a deleted one. Errors: NotFound."""
    row = HouseRuleChangeRow
    found = (await db.scalars(select(row).where(row.rule_id == rule_id[:32]).order_by(row.version.desc()).limit(500))).all()
    if not found:
        raise NotFound("There is no such house rule.")
    return found


async def change(db: AsyncSession, number: int) -> HouseRuleChangeRow:
    """One change by its number. Errors: NotFound."""
    row = await db.get(HouseRuleChangeRow, number)
    if row is None:
        raise NotFound("There is no such version of a house rule.")
    return row


async def last_changes(db: AsyncSession, *, limit: int) -> Sequence[HouseRuleChangeRow]:
    """What was changed last, newest first."""
    return (await db.scalars(select(HouseRuleChangeRow).order_by(HouseRuleChangeRow.id.desc()).limit(limit))).all()


async def seen(db: AsyncSession) -> tuple[int, int]:
    """A mark that differs after every change.

    The newest number alone would not do: of two changes made at once, the one numbered first may become visible last.
    """
    row = (await db.execute(select(func.count(), func.max(HouseRuleChangeRow.id)).select_from(HouseRuleChangeRow))).one()
    return row[0], row[1] or 0
