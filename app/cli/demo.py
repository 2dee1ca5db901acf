"""`clew demo`: everything on one machine, nothing else needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Clew's own port.")] = 8000,
    otlp_port: Annotated[int, typer.Option(min=1, max=65535, help="Where the trace backend takes spans.")] = 4318,
    query_port: Annotated[int, typer.Option(min=1, max=65535, help="Where the trace backend answers.")] = 3200,
    prometheus_port: Annotated[int, typer.Option(min=1, max=65535, help="Prometheus.")] = 9090,
    shop_port: Annotated[int, typer.Option(min=0, max=65535, help="The sample shop's gateway; 0 takes a free port.")] = 0,
    data: Annotated[Path, typer.Option(help="Folder for all data and logs.")] = Path("demo-data"),
    cache: Annotated[Path, typer.Option(help="Folder for an unpacked Prometheus, if none is installed.")] = Path(".cache"),
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Delete the data of an earlier demo first; else it is used again.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Same seed, same people, visits and attacks.")] = 7,
    password: Annotated[str, typer.Option(help="Password of the demo's user; else one is made up and printed.")] = "",
    sqlite: Annotated[bool, typer.Option("--sqlite", help="The shop on SQLite even where PostgreSQL is installed.")] = False,
    attacks: Annotated[bool, typer.Option(help="Attack the shop all the time, one attack after another.")] = True,
) -> None:
    """Start traces, metrics, a sample shop under attack, and Clew looking at it, until Ctrl-C."""
    from app.embedded.metrics import SpanMetrics
    from app.lab.demo import Demo, Options, Ports
    from app.security import passwords

    if password:
        passwords.acceptable(password)  # before anything is started, not after
    options = Options(
        ports=Ports(web=port, otlp=otlp_port, query=query_port, prometheus=prometheus_port, shop=shop_port),
        data=data, cache=cache, fresh=fresh, seed=seed, password=password, sqlite=sqlite, with_attacks=attacks,
    )  # fmt: skip
    Demo(options, SpanMetrics, lambda line: typer.echo(line)).run()
