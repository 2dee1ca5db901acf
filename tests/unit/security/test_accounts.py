import pytest
from sqlalchemy import select

from app.errors import Conflict, InvalidInput, NotFound
from app.security import accounts, audit, store
from app.security.audit import Act
from app.security.roles import COMMAND_LINE, Role
from app.security.tables import AuditRow, UserRow

PASSWORD = "correct horse battery"


async def add(db, name, role=Role.ANALYST, *, at, **more):
    return await accounts.add(db, name, PASSWORD, role, by=COMMAND_LINE, at=at, **more)


async def acts(db):
    return list(await db.scalars(select(AuditRow.act).order_by(AuditRow.id)))


async def test_somebody_new(database, noon):
    async with database.writing() as db:
        person = await add(db, "  Ines.Varga ", at=noon, display_name="Ines Varga")
        assert (person.name, person.display_name, person.role) == ("ines.varga", "Ines Varga", Role.ANALYST)
        row = await store.user_named(db, "ines.varga")
        assert PASSWORD not in row.password_hash
        trail = await audit.trail(db, ("user", person.id))
    assert [(one.act, one.actor_name, one.detail) for one in trail] == [
        ("user_added", "command line", {"name": "ines.varga", "role": "analyst"})
    ]


async def test_one_name_one_person_however_it_is_written(database, noon):
    async with database.writing() as db:
        await add(db, "ines", at=noon)
    for same in ("INES", " ines", "ｉｎｅｓ"):
        with pytest.raises(Conflict, match="already a user ines"):
            async with database.writing() as db:
                await add(db, same, at=noon)


@pytest.mark.parametrize("name", ["", " ", "-x", "a b", "a/b", "<b>", "a\nb", "..", "_x", "a\u202eb"])
async def test_a_name_is_letters_digits_and_few_signs(database, noon, name):
    with pytest.raises(InvalidInput) as caught:
        async with database.writing() as db:
            await add(db, name, at=noon)
    assert caught.value.field == "name"


async def test_a_bad_password_adds_nobody_and_records_nothing(database, noon):
    with pytest.raises(InvalidInput):
        async with database.writing() as db:
            await accounts.add(db, "ines", "short", Role.VIEWER, by=COMMAND_LINE, at=noon)
    async with database.reading() as db:
        assert not await store.has_users(db)
        assert await acts(db) == []


async def test_the_last_admin_stays(database, noon):
    async with database.writing() as db:
        await add(db, "root", Role.ADMIN, at=noon)
        await add(db, "ines", at=noon)
    for change in (
        lambda db: accounts.disable(db, "root", by=COMMAND_LINE, at=noon),
        lambda db: accounts.set_role(db, "root", Role.VIEWER, by=COMMAND_LINE, at=noon),
    ):
        with pytest.raises(Conflict, match="root is the only admin"):
            async with database.writing() as db:
                await change(db)
    async with database.writing() as db:
        await accounts.set_role(db, "ines", Role.ADMIN, by=COMMAND_LINE, at=noon)
        await accounts.disable(db, "root", by=COMMAND_LINE, at=noon)
        assert [row.name for row in await store.all_users(db) if row.disabled_at is None] == ["ines"]


async def test_every_change_leaves_exactly_one_row_and_no_change_none(database, noon):
    async with database.writing() as db:
        await add(db, "root", Role.ADMIN, at=noon)
        await add(db, "ines", at=noon)
        await accounts.set_role(db, "ines", Role.VIEWER, by=COMMAND_LINE, at=noon)
        await accounts.set_role(db, "ines", Role.VIEWER, by=COMMAND_LINE, at=noon)
        await accounts.set_password(db, "ines", PASSWORD, by=COMMAND_LINE, at=noon)
        await accounts.disable(db, "ines", by=COMMAND_LINE, at=noon)
        await accounts.disable(db, "ines", by=COMMAND_LINE, at=noon)
        await accounts.enable(db, "ines", by=COMMAND_LINE, at=noon)
        await accounts.enable(db, "ines", by=COMMAND_LINE, at=noon)
        assert await acts(db) == [
            Act.USER_ADDED, Act.USER_ADDED, Act.USER_ROLE_CHANGED, Act.USER_PASSWORD_SET, Act.USER_DISABLED, Act.USER_ENABLED,
        ]  # fmt: skip
        changed = await db.scalar(select(AuditRow.detail).where(AuditRow.act == Act.USER_ROLE_CHANGED))
    assert changed == {"role": {"from": "analyst", "to": "viewer"}}


async def test_an_act_that_cannot_be_recorded_is_undone(database, noon, monkeypatch):
    async def full(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(audit, "record", full)
    with pytest.raises(OSError, match="disk full"):
        async with database.writing() as db:
            await add(db, "ines", at=noon)
    async with database.reading() as db:
        assert (await db.scalars(select(UserRow))).all() == []


async def test_nobody_of_that_name(database, noon):
    with pytest.raises(NotFound, match="no user nobody"):
        async with database.writing() as db:
            await accounts.disable(db, "nobody", by=COMMAND_LINE, at=noon)
