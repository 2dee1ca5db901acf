"""`clew explain FILE`: the verdict on one trace, as text for a person or as JSON for a program.
With `--against ALLOWED`: where a refused request parts from one of the same route that was let through.

Exit status: 0 when a verdict was reached, whatever it is; 2, with one line on standard error, for what is no trace.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.errors import InvalidInput, NotATrace

if TYPE_CHECKING:
    import msgspec

    from app.analysis.contrast import Contrast
    from app.analysis.verdict import Verdict
    from app.investigation.judging import Judge
    from app.traces.model import Trace

_LARGEST = 512 * 2**20


def judge(body: bytes) -> Verdict:
    """The verdict on a trace in any encoding Clew reads, by the shipped rules and those that the settings name.

    Errors: NotATrace with one sentence; InvalidInput for a house rule or a setting that is wrong.
    """
    return _judge()(_trace(body))


def contrast(denied: bytes, allowed: bytes) -> Contrast:
    """The refused trace beside the allowed one. Errors: as for `judge`."""
    return _judge().contrast(_trace(denied), _trace(allowed))


def _judge() -> Judge:
    from app import settings
    from app.investigation.judging import judge_of

    try:
        house = settings.load().analysis
    except (ValueError, FileNotFoundError) as error:
        raise InvalidInput(f"The settings cannot be used: {str(error).splitlines()[0]}") from None
    return judge_of(house)


def _trace(body: bytes) -> Trace:
    from app.traces import build, otlp

    return build.build(otlp.decode(body))


def read(file: str) -> bytes:
    """The bytes of a file, or of standard input for "-".

    Errors: InvalidInput with one sentence.
    """
    try:
        body = sys.stdin.buffer.read(_LARGEST + 1) if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror or type(error).__name__}.") from None
    if len(body) > _LARGEST:
        raise NotATrace("This is not read: it is larger than 512 MB.")
    return body


def explain(
    file: Annotated[str, typer.Argument(help="A trace as OTLP/JSON, Tempo JSON or protobuf; - reads standard input.")],
    against: Annotated[
        str | None, typer.Option(metavar="ALLOWED", help="A trace of the same route that was let through, to compare with.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The answer as JSON.")] = False,
) -> None:
    """Say which layer refused a traced request, and why."""
    try:
        if against is None:
            verdict = judge(read(file))
            _print(verdict, render(verdict), as_json=as_json)
        else:
            found = contrast(read(file), read(against))
            _print(found, render_contrast(found), as_json=as_json)
    except InvalidInput as error:
        print(one_line(error.sentence), file=sys.stderr)
        raise typer.Exit(2) from None


def _print(answer: msgspec.Struct, text: str, *, as_json: bool) -> None:
    import msgspec

    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()
    else:
        print(text)


def render(verdict: Verdict) -> str:
    """The verdict for a terminal. Control characters of the trace are shown, never sent."""
    head = [verdict.outcome.value.replace("_", " ")]
    if verdict.layer is not None:
        head.append(verdict.layer.value.replace("_", " "))
    if verdict.phase is not None:
        head.append(verdict.phase.value)
    lines = [f"{', '.join(head)} ({verdict.confidence.value} confidence)", verdict.sentence, ""]
    lines += [f"  {number}. {sentence}" for number, sentence in enumerate(verdict.because, 1)]
    if verdict.settles:
        lines += ["", "What would settle or change it:"] + [f"  - {text}" for text in verdict.settles]
    if verdict.side_effects:
        lines += ["", "Changed:"]
        lines += [f"  - {e.kind} {e.target} by {e.service} ({e.when.value.replace('_', ' ')})" for e in verdict.side_effects]
    if verdict.findings:
        lines += ["", "Findings:"] + [f"  - {f.kind}: {f.detail}" for f in verdict.findings]
    return "\n".join(one_line(line) for line in lines)


def render_contrast(found: Contrast) -> str:
    """Where two requests part, for a terminal."""
    lines = [found.sentence, ""]
    for name, request in (("refused", found.denied), ("allowed", found.allowed)):
        status = f" {request.status}" if request.status is not None else ""
        lines.append(f"{name}  {request.trace_id}  {request.operation} of {request.service}{status}: {request.sentence}")
    if found.passed:
        lines += ["", "Both passed:"] + [f"  - {check.name} of {check.service}" for check in found.passed]
    if found.differences:
        lines += ["", "Differs there (refused, then allowed):"]
        for d in found.differences:
            mark = ", written by the client" if d.by_client else ""
            lines.append(f"  - {d.attribute} ({d.where}{mark}): {_or_absent(d.denied)} | {_or_absent(d.allowed)}")
    for title, steps in (("Only the refused request:", found.only_denied), ("Only the allowed request:", found.only_allowed)):
        if steps:
            lines += ["", title] + [f"  - {step.name} of {step.service}" for step in steps]
    if found.caveats:
        lines += ["", "Mind:"] + [f"  - {text}" for text in found.caveats]
    return "\n".join(one_line(line) for line in lines)


def _or_absent(value: str | None) -> str:
    return "(absent)" if value is None else value


def one_line(text: str) -> str:
    """Text without control characters, bidirectional marks or line breaks of its own."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def register(app: typer.Typer) -> None:
    app.command("explain")(explain)


def main() -> None:
    """`python -m app.cli.explain`, for use without the whole command."""
    typer.run(explain)


if __name__ == "__main__":
    main()
