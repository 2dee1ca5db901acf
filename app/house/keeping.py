"""House rules changed for good: checked first, then written in one transaction, then in force.

The pages, the API and the command line go this way, so that no unsound text is ever enabled by one of them.
"""

from __future__ import annotations

import asyncio
import datetime as dt

from sqlalchemy.exc import IntegrityError

from app.analysis.rulebook import RuleText
from app.errors import Conflict
from app.house import book, service, store
from app.house.live import LiveRules
from app.house.tables import HouseRuleRow
from app.security.roles import Person


async def check(live: LiveRules, name: str, text: str, *, document: str = "", enabled: bool = True) -> RuleText:
    """A text that may be kept; an enabled one also fits the others that are in force.

    document: what the database knows it by already.
    Errors:   InvalidInput names the field; RuleError the line.
    """
    sound = RuleText(book.name_of(name), book.text_of(text), document)
    beside = live.beside(document) if enabled else []
    await asyncio.to_thread(book.checked, sound, beside=beside)
    return sound


async def add(live: LiveRules, name: str, text: str, *, enabled: bool, by: Person, at: dt.datetime) -> HouseRuleRow:
    """A new house rule. Errors: as check and service.add."""
    await live.refresh()
    sound = await check(live, name, text, enabled=enabled)
    try:
        async with live.database.writing() as db:
            row = await service.add(db, sound.file, sound.text, enabled=enabled, by=by, at=at)
    except IntegrityError:
        raise _taken(sound.file) from None
    await live.refresh()
    return row


async def change(
    live: LiveRules,
    rule_id: str,
    name: str,
    text: str,
    *,
    enabled: bool | None = None,
    version: int,
    by: Person,
    at: dt.datetime,
) -> HouseRuleRow:
    """Another name or text, and in force or not where that is said. Errors: as check and service.change."""
    await live.refresh()
    was = any(one.document == rule_id for one in live.documents)
    sound = await check(live, name, text, document=rule_id, enabled=was if enabled is None else enabled)
    try:
        async with live.database.writing() as db:
            row = await service.change(db, rule_id, sound.file, sound.text, version=version, by=by, at=at)
            if enabled is not None:
                row = await service.enable(db, rule_id, enabled=enabled, version=row.version, by=by, at=at)
    except IntegrityError:
        raise _taken(sound.file) from None
    await live.refresh()
    return row


async def enable(live: LiveRules, rule_id: str, *, enabled: bool, version: int, by: Person, at: dt.datetime) -> HouseRuleRow:
    """In force, or not any more. Errors: RuleError where it is not fit to be in force; as service.enable."""
    await live.refresh()
    if enabled:
        async with live.database.reading() as db:
            row = await store.one(db, rule_id)
        await check(live, row.name, row.text, document=rule_id)
    async with live.database.writing() as db:
        row = await service.enable(db, rule_id, enabled=enabled, version=version, by=by, at=at)
    await live.refresh()
    return row


async def delete(live: LiveRules, rule_id: str, *, version: int, by: Person, at: dt.datetime) -> None:
    """Gone, with its history kept. Errors: as service.delete."""
    async with live.database.writing() as db:
        await service.delete(db, rule_id, version=version, by=by, at=at)
    await live.refresh()


def _taken(name: str) -> Conflict:
    return Conflict(f"There is already a house rule {name}. Nothing was saved.")
