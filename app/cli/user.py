"""`clew user`: who may sign in."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from app.security.roles import COMMAND_LINE, Person, Role

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy.ext.asyncio import AsyncSession

    Verb = Callable[[AsyncSession, dt.datetime], Awaitable[Person]]

Name = Annotated[str, typer.Argument(help="The name to sign in with.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


def register(app: typer.Typer) -> None:
    users = typer.Typer(help="Add, list and disable people who may sign in.", no_args_is_help=True)
    users.command()(add)
    users.command("list")(list_users)
    users.command()(role)
    users.command()(password)
    users.command()(disable)
    users.command()(enable)
    app.add_typer(users, name="user")


def add(
    name: Name,
    role: Annotated[Role, typer.Option(help="What the person may do.")] = Role.ANALYST,
    display_name: Annotated[str, typer.Option("--display-name", help="What pages call them.")] = "",
    password_stdin: FromStdin = False,
) -> None:
    """Add somebody. The password is asked for, or read from standard input."""
    from app.security import accounts

    secret = _password(password_stdin)
    person = _do(lambda db, at: accounts.add(db, name, secret, role, by=COMMAND_LINE, at=at, display_name=display_name))
    typer.echo(f"{person.name} can sign in as {person.role}.")


def list_users() -> None:
    """List everybody, with role and state."""
    from app.cli.settings import load
    from app.db import migrate
    from app.db.session import Database
    from app.security import store

    async def ask() -> None:
        settings = load().database
        await migrate.check(settings)
        database = Database(settings)
        try:
            async with database.reading() as db:
                rows = await store.all_users(db)
        finally:
            await database.close()
        for row in rows:
            state = f"disabled {row.disabled_at:%Y-%m-%d %H:%M} UTC" if row.disabled_at else "active"
            typer.echo(f"{row.name}\t{row.role}\t{state}\t{row.display_name}")
        if not rows:
            typer.echo("Nobody yet. Add somebody: clew user add NAME --role admin", err=True)

    asyncio.run(ask())


def role(name: Name, role: Annotated[Role, typer.Argument(help="The new role.")]) -> None:
    """Give somebody another role; whoever is signed in by this name has to sign in again."""
    from app.security import accounts

    person = _do(lambda db, at: accounts.set_role(db, name, role, by=COMMAND_LINE, at=at))
    typer.echo(f"{person.name} is {person.role}.")


def password(name: Name, password_stdin: FromStdin = False) -> None:
    """Set a new password; whoever is signed in by this name has to sign in again."""
    from app.security import accounts

    secret = _password(password_stdin)
    person = _do(lambda db, at: accounts.set_password(db, name, secret, by=COMMAND_LINE, at=at))
    typer.echo(f"{person.name} has a new password.")


def disable(name: Name) -> None:
    """Let nobody sign in by this name any more, and end the sessions it has."""
    from app.security import accounts

    person = _do(lambda db, at: accounts.disable(db, name, by=COMMAND_LINE, at=at))
    typer.echo(f"{person.name} is disabled.")


def enable(name: Name) -> None:
    """Undo a disable."""
    from app.security import accounts

    person = _do(lambda db, at: accounts.enable(db, name, by=COMMAND_LINE, at=at))
    typer.echo(f"{person.name} is enabled.")


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _do(verb: Verb) -> Person:
    """Run one verb in one transaction on the configured database."""
    from app import times
    from app.cli.settings import load
    from app.db import migrate
    from app.db.session import Database

    async def run() -> Person:
        settings = load().database
        await migrate.prepare(settings)
        database = Database(settings)
        try:
            async with database.writing() as db:
                return await verb(db, times.utc_now())
        finally:
            await database.close()

    return asyncio.run(run())
