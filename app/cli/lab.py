"""`clew lab`: the sample shop by itself, for another trace backend, and single attacks on a running shop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DATA = Path("demo-data") / "shop"
Seed = Annotated[int, typer.Option(help="Same seed, same people, visits and attacks.")]
Data = Annotated[Path, typer.Option(help="The shop's folder.")]


def register(app: typer.Typer) -> None:
    lab = typer.Typer(help="A sample shop that sends traces, its visitors, and attacks on it.", no_args_is_help=True)
    lab.command()(run)
    lab.command()(attack)
    lab.command()(fault)
    lab.command("list")(list_attacks)
    app.add_typer(lab, name="lab")


def list_attacks() -> None:
    """Name the attacks, what each does, and the alert that should see it."""
    from app.lab.attacks import ATTACKS

    width = max(map(len, ATTACKS))
    for which in ATTACKS.values():
        alerts = f" [{', '.join(which.alerts)}]" if which.alerts else " [no metric sees it]"
        typer.echo(f"{which.name:<{width}}  {which.about}{alerts}")


def run(
    otlp: Annotated[
        str, typer.Option(help="Where the shop sends its spans: base URL of an OTLP/HTTP endpoint.")
    ] = "http://127.0.0.1:4318",
    port: Annotated[int, typer.Option(help="The gateway's port; 0 takes a free one.")] = 0,
    seed: Seed = 7,
    visits_per_minute: Annotated[float, typer.Option(min=0.1, max=600.0, help="Ordinary visits.")] = 8.0,
    sqlite: Annotated[bool, typer.Option("--sqlite", help="SQLite even where PostgreSQL is installed.")] = False,
    without_sdk: Annotated[
        list[str] | None, typer.Option(help="A service that nobody has instrumented; may be given more than once.")
    ] = None,
    data: Data = DATA,
) -> None:
    """Start the shop and let ordinary visitors come until Ctrl-C."""
    import asyncio
    import signal

    from app.errors import Conflict, InvalidInput
    from app.lab import fleet, stage, traffic, truth, world
    from app.lab.config import SERVICES
    from app.lab.processes import ChildFailed, Family, port_taken

    if unknown := set(without_sdk or ()) - set(SERVICES):
        raise InvalidInput(f"No service of the shop is called {min(unknown)}. They are: {', '.join(SERVICES)}.")
    if port and port_taken(port):
        raise Conflict(f"Port {port} is taken. Choose another with --port.")
    # Also where a shell started it in the background, which ignores Ctrl-C on behalf of its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    family = Family(data / "logs")
    started = None
    try:
        started = fleet.start(
            family, data, otlp_url=otlp.rstrip("/"), seed=seed, gateway_port=port, sqlite=sqlite, without_sdk=without_sdk or ()
        )
        shop, people = started.shop, world.make(seed)
        typer.echo(f"The shop is at {shop.gateway}, its spans go to {otlp}.")
        typer.echo(f"Its rows are guarded by {started.guard}.")
        typer.echo("Attack it from another terminal: clew lab attack NAME. Ctrl-C stops it.")

        async def visitors() -> None:
            visits = traffic.plan(people, seed, float("inf"), visits_per_minute)
            log = truth.Log(data / "ordinary.jsonl")
            async with stage.client() as via:
                coming = asyncio.create_task(stage.ordinary(visits, shop, people, via, log))
                try:
                    while not coming.done():
                        if failure := family.failure():
                            raise ChildFailed(failure)
                        await asyncio.wait({coming}, timeout=0.5)
                    await coming
                finally:
                    # Visitors leave before their connections are closed.
                    coming.cancel()
                    await asyncio.gather(coming, return_exceptions=True)

        asyncio.run(visitors())
    except KeyboardInterrupt:
        typer.echo("Stopping.")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        family.stop()
        if started:
            started.forget()


def attack(
    name: Annotated[str, typer.Argument(help="One of clew lab list.")],
    seed: Annotated[int, typer.Option(help="Chooses addresses, accounts and pauses of the attack.")] = 7,
    ground_truth: Annotated[
        Path | None, typer.Option(help="JSON Lines file to append to. [default: ground-truth.jsonl in the shop's folder]")
    ] = None,
    data: Data = DATA,
) -> None:
    """Run one attack on the running shop and write down what was done and what each request should earn."""
    import asyncio

    from app.lab import attacks, fleet, stage, truth, world

    which, shop = attacks.named(name), fleet.find(data)
    target = ground_truth or data / "ground-truth.jsonl"
    typer.echo(f"{which.name}: {which.about}")
    try:
        journal = asyncio.run(stage.attack(which, shop, world.make(shop.seed), seed=seed, log=truth.Log(target)))
    except KeyboardInterrupt:
        typer.echo(f"Interrupted. What was done so far: {target}")
        raise typer.Exit(130) from None
    unexpected = sum(not request.as_expected for request in journal.requests)
    typer.echo(
        f"{len(journal.requests)} requests, {unexpected} of them answered otherwise than configured. Ground truth: {target}"
    )


def fault(
    service: Annotated[str, typer.Argument(help="A service of the shop.")],
    what: Annotated[
        str, typer.Argument(help="Such as strip_context, careless or clock_off_s=-4; none mends it. See docs/lab.md.")
    ],
    data: Data = DATA,
) -> None:
    """Break something in a service of the running shop, or mend it."""
    import asyncio

    from app.lab import faults, fleet, stage

    shop, faulty = fleet.find(data), faults.parse(what)

    async def act() -> None:
        async with stage.client() as via:
            await faults.put(via, shop, service, faulty)

    asyncio.run(act())
    typer.echo(f"{service}: {what}." if what != faults.NONE else f"{service} is mended.")
