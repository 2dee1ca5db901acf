"""`clew db`: the database's schema, and copies of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    database = typer.Typer(help="Upgrade the database's schema; back it up and restore it.", no_args_is_help=True)
    database.command()(upgrade)
    database.command()(current)
    database.command()(backup)
    database.command()(restore)
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


def backup(file: Annotated[Path, typer.Argument(help="Where to write the copy; must not exist yet.")]) -> None:
    """Copy the SQLite database, also while the server runs. It holds what the database holds: keep it as safe."""
    from app.cli.settings import load
    from app.db import backup

    revision = backup.write(load().database, file)
    typer.echo(f"{file}: {file.stat().st_size:,} bytes at revision {revision}.")


def restore(
    file: Annotated[Path, typer.Argument(help="What clew db backup wrote.")],
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of the database that is there.")] = False,
) -> None:
    """Make the SQLite database what it was in a back-up. The server must be stopped."""
    from app.cli.settings import load
    from app.db import backup, migrate

    revision = backup.restore(load().database, file, replace=replace)
    newest = migrate.newest()
    then = "" if revision == newest else f"; the server brings it to {newest} when it starts"
    typer.echo(f"Restored from {file} at revision {revision}{then}.")
