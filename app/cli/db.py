"""`clew db`: the database's schema."""

from __future__ import annotations

import asyncio

import typer


def register(app: typer.Typer) -> None:
    database = typer.Typer(help="Look at and upgrade the database's schema.", no_args_is_help=True)
    database.command()(upgrade)
    database.command()(current)
    app.add_typer(database, name="db")


def upgrade() -> None:
    """Bring the database to the schema this Clew needs. Take a backup first."""
    from app.cli.settings import load
    from app.db import migrate

    async def run() -> None:
        settings = load().database
        before = await migrate.current(settings)
        await migrate.upgrade(settings)
        await migrate.check(settings)
        after = await migrate.current(settings)
        typer.echo(f"Already at {after}." if before == after else f"From {before or 'an empty database'} to {after}.")

    asyncio.run(run())


def current() -> None:
    """Print the schema's revision and the one this Clew needs."""
    from app.cli.settings import load
    from app.db import migrate

    at, needs = asyncio.run(migrate.current(load().database)), migrate.newest()
    typer.echo(f"{at or 'empty'}\t{'needs nothing' if at == needs else f'needs {needs}'}")
