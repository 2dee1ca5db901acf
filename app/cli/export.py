"""`clew export`: a case's timeline as a file."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from app.cases.model import Format
from app.errors import InvalidInput

if TYPE_CHECKING:
    from app.cases.custody import Link
    from app.cases.export import Written


def register(app: typer.Typer) -> None:
    app.command()(export)


def export(
    case: Annotated[str, typer.Argument(help="The case: CASE-0042, or 42.")],
    form: Annotated[Format, typer.Option("--format", help="What docs/exports.md explains.")] = Format.CSV,
    output: Annotated[str, typer.Option("--output", "-o", help="The file to write; - is standard output.")] = "-",
    hidden: Annotated[bool, typer.Option("--hidden", help="Write the hidden events too.")] = False,
) -> None:
    """Write a case's timeline. The export is recorded in the case's chain of custody."""
    with _destination(output) as file:
        written, link = asyncio.run(_write(case, form, file, hidden=hidden))
    typer.echo(_summary(case, written, link), err=True)


async def _write(case: str, form: Format, file: IO[bytes], *, hidden: bool) -> tuple[Written, Link]:
    from app import times
    from app.cases import export
    from app.cases.model import case_number
    from app.cli.settings import load
    from app.db import migrate
    from app.db.session import Database
    from app.security.roles import COMMAND_LINE

    settings = load()
    number = case_number(case)
    await migrate.check(settings.database)
    database = Database(settings.database)
    try:
        async with database.reading() as db:
            written = await export.write(db, number, form, file, public_url=settings.web.public_url, hidden=hidden)
        async with database.writing() as db:
            link = await export.record(db, number, written, by=COMMAND_LINE, at=times.utc_now())
    finally:
        await database.close()
    return written, link


@contextmanager
def _destination(output: str) -> Iterator[IO[bytes]]:
    """A file to write to, which takes its place only when all went well: what stands there is whole, or is not there."""
    if output == "-":
        with tempfile.TemporaryFile() as draft:
            yield draft
            draft.seek(0)
            shutil.copyfileobj(draft, sys.stdout.buffer)
            sys.stdout.flush()
        return
    target = Path(output)
    try:
        # Made readable by its owner only, as it should be: the file tells the story of a breach.
        handle, name = tempfile.mkstemp(dir=target.absolute().parent, prefix=".clew-export-")
    except OSError as error:
        raise InvalidInput(f"{output} cannot be written: {error.strerror}.") from None
    try:
        with os.fdopen(handle, "wb") as draft:
            yield draft
        os.replace(name, target)
    except OSError as error:
        raise InvalidInput(f"{output} cannot be written: {error.strerror}.") from None
    finally:
        Path(name).unlink(missing_ok=True)


def _summary(case: str, written: Written, link: Link) -> str:
    left = f", {written.left_out:,} hidden left out" if written.left_out else ""
    return (
        f"{written.name}: {written.events:,} events{left}, {written.size:,} bytes, SHA-256 {written.sha256}\n"
        f"Entry {link.seq} of the chain of custody, whose head is now {link.hash.hex()}"
    )
