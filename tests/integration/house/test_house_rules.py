"""House rules in both databases: kept, changed under a version, remembered, and in force at once and in other processes."""

import datetime as dt

import pytest
from sqlalchemy import select

from app.analysis.rulebook import RuleText, shipped
from app.db import migrate
from app.db.session import Database
from app.errors import Conflict, NotFound
from app.house import book, live, service, store
from app.house.live import LiveRules
from app.security.roles import Person, Role
from app.security.tables import AuditRow
from app.settings import DatabaseSettings

INES = Person("a" * 32, "ines", "Ines Varga", Role.ADMIN)
JUN = Person("b" * 32, "jun", "Jun Park", Role.ADMIN)
AT = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
GATE = """rules:
  - id: house.gate
    match: {span_name: '^gate\\.ask$'}
    layer: application
    phase: authz
    decision: {deny: [{attr: {gate.answer: shut}}]}
"""


@pytest.fixture
async def database(database_url):
    settings = DatabaseSettings(url=database_url)
    await migrate.upgrade(settings)
    opened = Database(settings)
    try:
        yield opened
    finally:
        await opened.close()


async def added(database, name="gate", text=GATE, *, enabled=True) -> str:
    async with database.writing() as db:
        return (await service.add(db, name, text, enabled=enabled, by=INES, at=AT)).id


async def test_every_change_is_remembered_and_audited(database):
    rule = await added(database)
    async with database.writing() as db:
        await service.change(db, rule, "gate", GATE + "# later\n", version=1, by=JUN, at=AT)
    async with database.writing() as db:
        await service.enable(db, rule, enabled=False, version=2, by=JUN, at=AT)
    async with database.writing() as db:
        await service.delete(db, rule, version=3, by=INES, at=AT)
    async with database.reading() as db:
        history = [(one.version, one.act, one.enabled, one.by) for one in await store.changes(db, rule)]
        assert history == [
            (4, "deleted", False, "Ines Varga"),
            (3, "disabled", False, "Jun Park"),
            (2, "changed", True, "Jun Park"),
            (1, "added", True, "Ines Varga"),
        ]
        assert [one.text for one in await store.changes(db, rule)][2:] == [GATE + "# later\n", GATE]
        with pytest.raises(NotFound):
            await store.one(db, rule)
        trail = (await db.scalars(select(AuditRow).where(AuditRow.subject_id == rule).order_by(AuditRow.id))).all()
        assert [(row.act, row.actor_name) for row in trail] == [
            ("house_rule_added", "ines"),
            ("house_rule_changed", "jun"),
            ("house_rule_disabled", "jun"),
            ("house_rule_deleted", "ines"),
        ]
        assert trail[0].detail["sha256"] != trail[1].detail["sha256"]


async def test_what_stays_the_same_leaves_no_change(database):
    rule = await added(database)
    async with database.writing() as db:
        await service.change(db, rule, "gate", GATE, version=1, by=JUN, at=AT)
        await service.enable(db, rule, enabled=True, version=1, by=JUN, at=AT)
        assert (await store.one(db, rule)).version == 1
        assert len(await store.changes(db, rule)) == 1


async def _change(db, rule):
    await service.change(db, rule, "gate", GATE, version=1, by=INES, at=AT)


async def _disable(db, rule):
    await service.enable(db, rule, enabled=False, version=1, by=INES, at=AT)


async def _delete(db, rule):
    await service.delete(db, rule, version=1, by=INES, at=AT)


@pytest.mark.parametrize("verb", [_change, _disable, _delete])
async def test_whoever_saw_an_older_version_is_refused_and_nothing_happens(database, verb):
    rule = await added(database)
    async with database.writing() as db:
        await service.change(db, rule, "gate", GATE + "\n", version=1, by=JUN, at=AT)
    async with database.writing() as db:
        with pytest.raises(Conflict, match="gate was changed by Jun Park since you opened this page"):
            await verb(db, rule)
    async with database.reading() as db:
        assert (await store.one(db, rule)).version == 2


async def test_names_are_given_once_and_only_so_many_are_kept(database, monkeypatch):
    await added(database)
    with pytest.raises(Conflict, match="There is already a house rule gate"):
        await added(database)
    monkeypatch.setattr(book, "MOST_TEXTS", 2)
    other = await added(database, "other", GATE.replace("house.gate", "house.other"))
    with pytest.raises(Conflict, match="There are 2 house rules already"):
        await added(database, "third")
    with pytest.raises(Conflict, match="There is already a house rule gate"):
        async with database.writing() as db:
            await service.change(db, other, "gate", GATE, version=1, by=INES, at=AT)


async def test_a_change_is_in_force_at_once_and_the_book_is_compiled_once(database, monkeypatch):
    applied = []
    rules = LiveRules(database, [], shipped(), applied.append)
    await rules.refresh()
    assert (rules.book, applied) == (shipped(), [])
    rule = await added(database)
    await rules.refresh()
    assert rules.book.by_id["house.gate"].document == rule
    assert applied == [rules.book]
    monkeypatch.setattr(book, "compiled", lambda *_: pytest.fail("nothing changed, so nothing is compiled"))
    await rules.refresh()
    assert len(applied) == 1


async def test_a_disabled_or_deleted_rule_is_out_of_force(database):
    rules = LiveRules(database, [], shipped(), lambda _: None)
    rule = await added(database)
    await rules.refresh()
    async with database.writing() as db:
        await service.enable(db, rule, enabled=False, version=1, by=INES, at=AT)
    await rules.refresh()
    assert rules.book is shipped()


async def test_another_process_takes_up_a_change_by_itself(database, monkeypatch):
    import asyncio

    monkeypatch.setattr(live, "POLL_S", 0.02)
    there = asyncio.Event()
    rules = LiveRules(database, [], shipped(), lambda _: there.set())
    await rules.refresh()
    rules.watch()
    try:
        await added(database)
        await asyncio.wait_for(there.wait(), 20)
        assert "house.gate" in rules.book.by_id
    finally:
        await rules.close()


async def test_a_text_that_is_not_sound_any_more_is_skipped_and_told(database):
    rule = await added(database, "old", "rules: [{id: x}]")
    file = RuleText("gate.yaml", GATE)
    rules = LiveRules(database, [file], book.compiled([file], []).book, lambda _: None)
    await rules.refresh()
    assert [(one.document, one.line, one.why) for one in rules.skipped] == [(rule, 1, "the rule lacks 'match'.")]
    assert rules.book.by_id["house.gate"].file == "gate.yaml"
    assert rules.beside() == []
