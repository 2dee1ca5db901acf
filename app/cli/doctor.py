"""`clew doctor`: what the telemetry lacks, how bad that is, and what mends it.

Exit status: 0; 1 where `--fail-on` names a severity and something is as bad or worse; 2, with one line, for a wrong setting.
"""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.explain import one_line
from app.doctor.finding import SEVERITIES, Area, Severity
from app.errors import AppError, InvalidInput
from app.times import DAY, MINUTE, format_duration, iso, parse_duration

if TYPE_CHECKING:
    from app.doctor.finding import Finding
    from app.doctor.report import Connection, Report, ServiceRow, Share
    from app.doctor.retention import OpenCase
    from app.settings import DatabaseSettings

_WIDTH = 100
_LONGEST_NAME = 28


def register(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(
    since: Annotated[str, typer.Option(metavar="DURATION", help="How far back to look, such as 30m or 6h.")] = "1h",
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
    only: Annotated[Area | None, typer.Option(metavar="AREA", help=f"One area: {', '.join(Area)}.")] = None,
    fail_on: Annotated[
        Severity | None,
        typer.Option(metavar="SEVERITY", help="End with 1 if something is so bad or worse: broken, harmful ..."),
    ] = None,
) -> None:
    """Find what the telemetry lacks: sources, coverage, sampling, labels, pipeline, privacy, retention."""
    import msgspec

    report = asyncio.run(_examined(_window(since)))
    if only is not None:
        report = report.only(only)
    if as_json:
        typer.echo(msgspec.json.encode(report).decode())
    else:
        typer.echo(render(report, only))
    if fail_on is not None and any(SEVERITIES.index(f.severity) <= SEVERITIES.index(fail_on) for f in report.findings):
        raise typer.Exit(1)


def _window(since: str) -> int:
    length = parse_duration(since)
    if not MINUTE <= length <= 7 * DAY:
        raise InvalidInput("--since takes from 1m to 7d.")
    return length


async def _examined(length_ns: int) -> Report:
    from app import times
    from app.cli.settings import load
    from app.doctor import gather
    from app.investigation import labels
    from app.investigation.judging import judge_of
    from app.investigation.sources import Sources
    from app.times import UnixNanos
    from app.web.clients import Clients

    settings = load()
    judge, meanings = judge_of(settings.analysis), labels.load(settings.analysis.labels_file)
    cases = await _cases(settings.database) if _is_there(settings.database) else None
    clients = Clients.of(settings)
    now = times.now_ns()
    try:
        return await gather.examine(
            Sources(clients.tempo, clients.prometheus, clients.alertmanager),
            judge,
            meanings,
            start_ns=UnixNanos(now - length_ns),
            end_ns=now,
            now_ns=now,
            cases=cases,
        )
    finally:
        await clients.close()


def _is_there(settings: DatabaseSettings) -> bool:
    """Whether there is a database to ask: to ask SQLite for a file that is not there makes it."""
    return not settings.url.startswith("sqlite") or Path(settings.url.partition(":///")[2]).is_file()


async def _cases(settings: DatabaseSettings) -> Sequence[OpenCase] | None:
    """Open cases; None where the database does not answer or is not of this version: the rest is worth knowing without it."""
    from sqlalchemy.exc import SQLAlchemyError

    from app.db import migrate
    from app.db.session import Database
    from app.doctor import store

    database = None
    try:
        await migrate.check(settings)
        database = Database(settings)
        async with database.reading() as db:
            return await store.open_cases(db)
    except (AppError, SQLAlchemyError, OSError):
        return None
    finally:
        if database is not None:
            await database.close()


# ---------------------------------------------------------------------------------------------------------- for a person


def render(report: Report, only: Area | None = None) -> str:
    """The report for a terminal. Control characters of telemetry are shown, never sent."""
    lines = list(_head(report, only))
    if only in (None, Area.CONNECTION):
        lines += ["", "Sources", *(_connection(one) for one in report.connections)]
    for severity in SEVERITIES:
        found = report.of(severity)
        if found:
            lines += ["", f"{severity.value.upper()} ({len(found)})"]
            for number, finding in enumerate(found, 1):
                lines += _finding(number, finding)
    if not report.findings:
        lines += ["", "Nothing was found."]
    if only in (None, Area.COVERAGE) and report.services:
        lines += ["", *_services(report.services)]
    if report.unknown:
        lines += ["", f"Could not be checked ({len(report.unknown)}), and is not to be read as fine"]
        lines += [f"  {check.check}: {check.why}" for check in report.unknown]
    return "\n".join(one_line(line) for line in lines)


def _head(report: Report, only: Area | None) -> Iterator[str]:
    start, end = iso(report.start_ns, digits=0)[:19], iso(report.end_ns, digits=0)[:19]
    length = format_duration(report.end_ns - report.start_ns)
    yield f"{start} to {end} UTC ({length}), checked in {report.took_ms / 1000:.1f} s"
    yield report.sample.sentence
    if only is None:
        yield f"Score: {report.score.sentence}"
        for part in report.score.parts:
            yield f"  {part.area.value:<12}{part.points:>6.1f} of {part.of:>4.1f}  {part.why}"


def _connection(one: Connection) -> str:
    state = "ok" if one.configured and not one.problem else "off" if not one.configured else "FAILS"
    if one.problem:
        return f"  {one.source:<13}{state:<6}{one.problem} {one.remedy}"
    clock = "clock unknown" if one.clock_ns is None else "clock agrees" if not one.clock_ns else "clock is off"
    features = ", ".join(f"{'no ' if f.has is False else ''}{f.name}{'?' if f.has is None else ''}" for f in one.features)
    return f"  {one.source:<13}{state:<6}{one.url}  {one.version or 'version unknown'}, {clock}; {features}"


def _finding(number: int, finding: Finding) -> Iterator[str]:
    yield f"  {number}. {finding.title}  [{finding.check}]"
    if finding.measured:
        yield f"     Measured: {finding.measured}"
    yield from textwrap.wrap(finding.detail, _WIDTH, initial_indent="     ", subsequent_indent="     ")
    if finding.evidence:
        yield f"     Traces: {' '.join(finding.evidence)}"
    if finding.remedy:
        yield from textwrap.wrap(finding.remedy, _WIDTH, initial_indent="     Do: ", subsequent_indent="         ")
    for line in finding.paste.splitlines():
        yield f"       | {line}"


def _services(rows: Sequence[ServiceRow]) -> Iterator[str]:
    names = ("auth path", "signals", "address", "principal", "context in", "context out", "sampled")
    yield f"{'Services':<{_LONGEST_NAME}}" + "".join(f"{name:>12}" for name in names)
    for row in rows:
        name = row.service if len(row.service) < _LONGEST_NAME else row.service[: _LONGEST_NAME - 2] + "…"
        shares = (row.auth_signals, row.client_address, row.principal, row.context_in, row.context_out, row.sampled)
        yield f"{name:<{_LONGEST_NAME}}{'yes' if row.on_auth_path else '-':>12}" + "".join(f"{_share(s):>12}" for s in shares)


def _share(share: Share) -> str:
    return f"{share.part:.0%}" if share.known else "-"
