"""`clew rules`: a house's own signal rules: checked with file and line, tried on a trace, and kept in the database."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.explain import one_line, read
from app.errors import InvalidInput

if TYPE_CHECKING:
    from app.analysis.rulebook import Rule
    from app.analysis.trial import Trial, Tried
    from app.analysis.verdict import Verdict
    from app.house.live import LiveRules


def register(app: typer.Typer) -> None:
    rules = typer.Typer(
        help="Check a house's own signal rules, try them on a trace, and keep them in the database.", no_args_is_help=True
    )
    rules.command("check")(check)
    rules.command("test")(try_out)
    rules.command("list")(list_rules)
    rules.command("import")(import_rules)
    rules.command("export")(export)
    app.add_typer(rules, name="rules")


def check(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="The folder; without it, the one that the settings name.")
    ] = None,
) -> None:
    """Read every rule file of a folder, say what is wrong with file and line, and end with 2 if anything is."""
    from app.cli.settings import load

    folder = folder if folder is not None else load().analysis.rules_dir
    if folder is None:
        raise InvalidInput("No folder is named: give one, or set CLEW_ANALYSIS__RULES_DIR.")
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is no folder.")
    files = sorted(folder.glob("*.yaml"))
    for stray in sorted(folder.glob("*.yml")):
        typer.echo(f"{stray.name} is not read: rule files end in .yaml.", err=True)
    wrong = list(_wrong(files))
    for sentence in wrong:
        typer.echo(one_line(sentence), err=True)
    if wrong:
        raise typer.Exit(2)
    for line in _listed(files):
        typer.echo(one_line(line))


def _wrong(files: Sequence[Path]) -> Iterator[str]:
    """The first mistake of each file; where there is none, what the files get wrong between them."""
    from app.analysis import rulebook

    texts = []
    sound = True
    for file in files:
        try:
            texts.append((file.name, rulebook.text_of(file)))
            rulebook.checked(texts[-1][1], file.name)
        except rulebook.RuleError as error:
            sound = False
            yield error.sentence
    if sound:
        try:
            rulebook.with_files(texts)
        except rulebook.RuleError as error:
            yield error.sentence


def _listed(files: Sequence[Path]) -> Iterator[str]:
    from app.analysis import rulebook

    count = 0
    for file in files:
        for rule in rulebook.checked(rulebook.text_of(file), file.name).rules:
            count += 1
            shipped = rulebook.shipped().by_id.get(rule.id)
            note = f", replaces the shipped rule of {shipped.file}" if shipped is not None else ""
            yield f"{file.name}, line {rule.line}: {rule.id} ({'/'.join(name for name, _ in rule.decisions)}{note})"
    noun = f"{len(files)} {'file' if len(files) == 1 else 'files'}, {count} {'rule' if count == 1 else 'rules'}"
    yield f"{noun}, nothing wrong." if files else "No *.yaml file: there is nothing to check."


def try_out(
    file: Annotated[Path, typer.Argument(help="The rule file.")],
    trace: Annotated[str, typer.Argument(help="A trace as OTLP/JSON, Tempo JSON or protobuf; - reads standard input.")],
    as_json: Annotated[bool, typer.Option("--json", help="The answer as JSON.")] = False,
) -> None:
    """Try a rule file on a trace: which spans its rules held for, and the verdict without and with them."""
    import msgspec

    from app.analysis import rulebook, trial
    from app.traces import build, otlp

    text = rulebook.text_of(file)
    found = trial.tried(build.build(otlp.decode(read(trace))), [(file.name, text)])
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
        sys.stdout.buffer.flush()
    else:
        typer.echo("\n".join(one_line(line) for line in _told(found)))


def _told(found: Trial) -> Iterator[str]:
    for rule in found.rules:
        yield from _rule(rule)
        yield ""
    yield f"Without: {_verdict(found.without)}"
    yield f"With:    {_verdict(found.with_rules)}"
    yield f"Changed: {', '.join(found.changed)}" if found.changed else "The verdict stays the same."


def _rule(rule: Tried) -> Iterator[str]:
    note = f", replaces the shipped rule of {rule.replaces}" if rule.replaces else ""
    yield f"{rule.id} ({rule.file}, line {rule.line}{note})"
    for one in rule.held:
        end = f", not used: {one.why_not}" if one.why_not else ""
        yield f"  {one.decision:8s} {one.service}: {one.name} [{one.span_id}]{end}"
    if rule.more:
        yield f"  and {rule.more} spans more"
    for one in rule.about[:5]:
        yield f"  matches, but no decision holds: {one.service}: {one.name} [{one.span_id}]"
    if len(rule.about) > 5:
        yield f"  and {len(rule.about) - 5} spans more that match and of which no decision holds"
    if not rule.held and not rule.about:
        yield "  about no span of this trace"


def _verdict(verdict: Verdict) -> str:
    where = ", ".join(part.value.replace("_", " ") for part in (verdict.outcome, verdict.layer, verdict.phase) if part)
    rule = f", rule {verdict.rule}" if verdict.rule else ""
    return f"{where} ({verdict.confidence.value} confidence{rule}): {verdict.sentence}"


# ------------------------------------------------------------------------------------------------------- the database


def list_rules(
    everything: Annotated[bool, typer.Option("--all", help="The shipped rules, too.")] = False,
) -> None:
    """List the house rules, of files and of the database, as they are in force together."""

    async def ask() -> list[str]:
        async with _opened() as live:
            return [line async for line in _in_force(live, everything=everything)]

    for line in asyncio.run(ask()):
        typer.echo(one_line(line))


async def _in_force(live: LiveRules, *, everything: bool) -> AsyncIterator[str]:
    from app.house import store

    for rule in live.book.rules:
        if rule.house or everything:
            yield f"{rule.id}: {_place(rule)}{_instead(rule)}"
    for one in live.skipped:
        yield f"not used: house rule {one.name}, line {one.line}: {one.why}"
    async with live.database.reading() as db:
        for row in await store.everything(db):
            if not row.enabled:
                yield f"off: house rule {row.name}"


def _place(rule: Rule) -> str:
    return f"{'house rule ' if rule.document else ''}{rule.file}, line {rule.line}"


def _instead(rule: Rule) -> str:
    return f", in place of {_place(rule.replaces)}" if rule.replaces is not None else ""


def import_rules(
    file: Annotated[Path, typer.Argument(help="The rule file.")],
    name: Annotated[str, typer.Option(help="What to call it; the file's name without its ending, if not given.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of the house rule of that name.")] = False,
    off: Annotated[bool, typer.Option("--off", help="Keep it without putting it in force.")] = False,
) -> None:
    """Put a rule file into the database. A running server takes it up within ten seconds."""
    from app.analysis import rulebook
    from app.house import book, keeping, store
    from app.security.roles import COMMAND_LINE
    from app.times import utc_now

    text = rulebook.text_of(file)

    async def keep() -> str:
        async with _opened() as live:
            kept = book.name_of(name or file.stem)
            async with live.database.reading() as db:
                there = await store.named(db, kept)
            at = utc_now()
            if there is None:
                row = await keeping.add(live, kept, text, enabled=not off, by=COMMAND_LINE, at=at)
            elif replace:
                row = await keeping.change(
                    live, there.id, kept, text, enabled=not off, version=there.version, by=COMMAND_LINE, at=at
                )
            else:
                raise InvalidInput(f"There is already a house rule {kept}. Replace it with --replace, or give a --name.")
            return f"{row.name}: version {row.version}, {'in force' if row.enabled else 'off'}."

    typer.echo(one_line(asyncio.run(keep())))


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write the files; made if it is not there.")],
) -> None:
    """Write every house rule of the database as a file, one that is off as NAME.yaml.off. Files that are there stay."""
    from app.house import store

    async def write() -> int:
        async with _opened() as live, live.database.reading() as db:
            rows = await store.everything(db)
        files = {folder / f"{row.name}.yaml{'' if row.enabled else '.off'}": row.text for row in rows}
        taken = next((file for file in files if file.exists()), None)
        if taken is not None:
            raise InvalidInput(f"{taken} is already there. Nothing was written.")
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            file.write_text(text, encoding="utf-8")
        return len(files)

    count = asyncio.run(write())
    typer.echo(f"{count} {'file' if count == 1 else 'files'} in {folder}.")


@asynccontextmanager
async def _opened() -> AsyncIterator[LiveRules]:
    """The rules in force by files and database. Errors: SchemaMismatch where the database is not ready."""
    from app.analysis import rulebook
    from app.cli.settings import load
    from app.db import migrate
    from app.db.session import Database
    from app.house.live import LiveRules

    settings = load()
    await migrate.check(settings.database)
    database = Database(settings.database)
    try:
        files = rulebook.files_of(settings.analysis.rules_dir)
        live = LiveRules(database, files, rulebook.layered([files]), lambda _: None)
        await live.refresh()
        yield live
    finally:
        await database.close()
