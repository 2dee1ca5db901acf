"""Visitors come as planned and leave when they are told to."""

from __future__ import annotations

import asyncio
import contextlib

from app.lab import stage, traffic, world


async def test_a_visit_that_misses_its_first_dismissal_is_sent_away_again(monkeypatch):
    told = []

    async def deaf(*_):
        for _ in range(3):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                told.append("leave")
        raise AssertionError("it was let go on")

    monkeypatch.setattr(stage, "visit", deaf)
    people = world.make(7)
    visits = asyncio.create_task(stage.ordinary(traffic.plan(people, 7, 60, 600), None, people, None))
    await asyncio.sleep(0.3)
    visits.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait_for(visits, 20)
    assert len(told) >= 3
