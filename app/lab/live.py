"""What goes on while the demo runs: attacks in turn, alerts said aloud, and an eye on the children."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence

import httpx2 as httpx

from app.errors import AppError, SourceError
from app.lab import attacks, prometheus, stage, truth
from app.lab.fleet import Shop
from app.lab.processes import Child, ChildFailed
from app.lab.world import World

# The first attack is the one that an alert sees soonest; the pause lets its alert end before the same one may come again.
ROTATION = (
    "brute-force", "credential-stuffing", "authorization-probing", "expired-token", "password-spraying", "fail-open",
    "stolen-token", "object-walking", "identity-outage", "dropped-context",
)  # fmt: skip
PAUSE_S = 60.0

Say = Callable[[str], None]


async def attack_in_turn(shop: Shop, people: World, *, seed: int, log: truth.Log, via: httpx.AsyncClient, say: Say) -> None:
    """One attack after the other, each round with other addresses and pauses, until cancelled."""
    turn = 0
    while True:
        which = attacks.named(ROTATION[turn % len(ROTATION)])
        say(f"{clock()} Attack: {which.name}. {which.about}")
        try:
            await stage.attack(which, shop, people, seed=seed + turn, log=log, via=via)
        except AppError as error:
            say(f"{clock()} The attack broke off: {error.sentence}")
        turn += 1
        await asyncio.sleep(PAUSE_S)


async def announce_alerts(prometheus_url: str, page: str, say: Say) -> None:
    """Say once when an alert begins to fire. A Prometheus that does not answer is asked again."""
    api = prometheus.Api(prometheus_url)
    known: set[str] = set()
    while True:
        await asyncio.sleep(2.0)
        try:
            alerts = await asyncio.to_thread(api.alerts)
        except SourceError:
            continue
        firing = {_named(alert["labels"]) for alert in alerts if alert["state"] == "firing"}
        for name in sorted(firing - known):
            say(f"{clock()} Alert fires: {name}. {page}")
        known = firing


async def watch(children: Sequence[Child], essential: Sequence[Child], say: Say) -> None:
    """Say once when a child has ended. Errors: ChildFailed where it is one that nothing goes on without."""
    reported: set[int] = set()
    while True:
        for child in children:
            failure = child.failure()
            if failure is None or child.pid in reported:
                continue
            if child in essential:
                raise ChildFailed(failure)
            reported.add(child.pid)
            say(f"{clock()} {failure}")
        await asyncio.sleep(0.5)


def _named(labels: dict[str, str]) -> str:
    about = labels.get("auth_client_subnet") or labels.get("service_name") or labels.get("instance") or ""
    return f"{labels['alertname']} ({about})" if about else labels["alertname"]


def clock() -> str:
    return f"{dt.datetime.now(dt.UTC):%H:%M:%S}"
