"""`clew rules`: a house's own signal rules, checked with file and line, and tried on a trace before they judge anything."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.explain import one_line, read
from app.errors import InvalidInput

if TYPE_CHECKING:
    from app.analysis.trial import Trial, Tried
    from app.analysis.verdict import Verdict


def register(app: typer.Typer) -> None:
    rules = typer.Typer(help="Check a house's own signal rules, and try them on a trace.", no_args_is_help=True)
    rules.command("check")(check)
    rules.command("test")(try_out)
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
