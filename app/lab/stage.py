"""Puts scripts on: one attack with its ground truth, or a stretch of ordinary traffic."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import httpx2 as httpx

from app.lab import traffic, truth
from app.lab.attacks import Attack
from app.lab.fleet import Shop
from app.lab.pace import Live, Pace
from app.lab.scene import Scene
from app.lab.visitor import Journal, Visitor
from app.lab.world import World


def client() -> httpx.AsyncClient:
    """One pool for all visitors of a process: loopback, no proxies."""
    return httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=64))


async def attack(
    which: Attack, shop: Shop, world: World, *, seed: int, log: truth.Log, pace: Pace | None = None,
    via: httpx.AsyncClient | None = None,
) -> Journal:  # fmt: skip
    """Run one attack to its end; its ground truth goes to `log`, also where it is interrupted."""
    pace = pace or Live()
    began = pace.now_ns()
    journal = Journal(run=f"{which.name}-{seed}-{began // 10**9}", attack=which.name)
    log.write([truth.Begin(journal.run, which.name, seed, began, which.about, which.alerts)])
    own = via or client()
    scene = Scene(own, shop, world, pace, journal, seed)
    try:
        await which.script(scene)
    finally:
        unexpected = sum(not request.as_expected for request in journal.requests)
        end = truth.End(journal.run, which.name, pace.now_ns(), len(journal.requests), unexpected, scene.entities)
        log.write([*journal.requests, end])
        if via is None:
            await own.aclose()
    return journal


async def visit(
    planned: traffic.Visit, shop: Shop, world: World, via: httpx.AsyncClient, pace: Pace, log: truth.Log | None
) -> Journal:
    """One ordinary visit."""
    journal = Journal(run=truth.ORDINARY, attack=truth.ORDINARY)
    visitor = Visitor(via, shop, pace, journal, address=planned.address, agent=planned.agent)
    try:
        await traffic.perform(planned, visitor, world)
    finally:
        if log is not None:
            log.write(journal.requests)
    return journal


async def ordinary(
    visits: Iterable[traffic.Visit], shop: Shop, world: World, via: httpx.AsyncClient, log: truth.Log | None = None
) -> None:
    """Let visitors come as planned, by the wall clock, until the plan ends or the task is cancelled."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    under_way: set[asyncio.Task[Journal]] = set()
    try:
        for planned in visits:
            await asyncio.sleep(max(0.0, began + planned.start_s - loop.time()))
            task = asyncio.create_task(visit(planned, shop, world, via, Live(), log))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)
    finally:
        await _sent_away(set(under_way))


async def _sent_away(visits: set[asyncio.Task[Journal]]) -> None:
    """End visits that are under way.

    One cancellation may be lost in a connection that closes at that moment; the visit would then go on at its own pace.
    """
    pending = visits
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.5)
    await asyncio.gather(*visits, return_exceptions=True)
