"""`clew embedded`: the trace backend for one machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from app.errors import AppError, InvalidInput
from app.times import SECOND, parse_duration

_SIZES = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def register(app: typer.Typer) -> None:
    app.command()(embedded)


def size(text: str) -> int:
    """Bytes from `5GiB`, `500 MB` or a plain number. Errors: InvalidInput."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([A-Za-z]*)", text.strip(), re.ASCII)
    if not found or found[2] not in _SIZES:
        raise InvalidInput(f"{text!r} is not a size such as 500MiB or 5GiB.")
    return int(float(found[1]) * _SIZES[found[2]])


def embedded(
    otlp_port: Annotated[int, typer.Option(min=0, max=65535, help="Port for spans over OTLP/HTTP; 0 takes a free one.")] = 4318,
    query_port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the Tempo API and /metrics; 0 takes one.")] = 3200,
    host: Annotated[str, typer.Option(help="Address to bind. There is no log-in: keep it on this machine.")] = "127.0.0.1",
    data: Annotated[Path, typer.Option(help="Folder of the span store.")] = Path("clew-traces"),
    retention: Annotated[str, typer.Option(help="How long spans are kept after they arrived.")] = "72h",
    max_bytes: Annotated[str, typer.Option(help="Size at which the oldest spans go.")] = "5GiB",
    max_trace_bytes: Annotated[str, typer.Option(help="Larger traces are answered in part, as by Tempo; 0 never.")] = "0",
) -> None:
    """Take spans over OTLP/HTTP and answer Tempo's HTTP API, with span metrics for Prometheus on /metrics."""
    from app.embedded.serve import listen, serve
    from app.embedded.store import Retention
    from app.embedded.tempo_api import Switches

    try:
        kept = Retention(age_s=parse_duration(retention) // SECOND, max_bytes=size(max_bytes))
        switches = Switches(max_trace_bytes=size(max_trace_bytes))
        otlp = listen(host, otlp_port, "--otlp-port")
        query = listen(host, query_port, "--query-port")

        def started() -> None:
            typer.echo(f"OTLP on {_url(host, otlp.getsockname()[1])}/v1/traces")
            typer.echo(f"Tempo API on {_url(host, query.getsockname()[1])}, span metrics on /metrics, data in {data.resolve()}")

        serve(otlp, query, data, kept, switches, started)
    except AppError as error:
        typer.echo(error.sentence, err=True)
        raise typer.Exit(1) from None


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
