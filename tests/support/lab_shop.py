"""A running shop for tests, and what it sent: traces by id beside the ground truth of what was done."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from app.lab import attacks, fleet, incident, postgres, stage, traffic, truth, world
from app.lab.pace import Scheduled
from app.lab.processes import Family
from app.lab.recorder import Recorder
from app.traces.build import build
from app.traces.model import Span, Trace
from app.traces.otlp import Decoded, decode

SEED = 7
PEOPLE = world.make(SEED)


class Performed(msgspec.Struct, frozen=True):
    """Scripts that were run, and the spans that came of them."""

    database: str
    runs: dict[str, truth.Run]
    ordinary: list[truth.Request]
    spans: list[Span]
    traces: dict[str, Trace]

    def requests(self, attack: str, did: str = "") -> list[truth.Request]:
        return [request for request in self.runs[attack].requests if did in request.did]

    def trace(self, request: truth.Request) -> Trace:
        return self.traces[request.trace_id]


class Shop:
    def __init__(self, started: fleet.Fleet, recorder: Recorder, folder: Path) -> None:
        self.shop = started.shop
        self.guard = started.guard
        self.recorder = recorder
        self._folder = folder

    def perform(self, names: Sequence[str], *, visits: int = 0) -> Performed:
        """Run attacks one after the other, then ordinary visits, as fast as the shop answers."""
        path = self._folder / f"truth-{time.time_ns()}.jsonl"
        log = truth.Log(path)

        async def act() -> None:
            async with stage.client() as via:
                for name in names:
                    pace = Scheduled(time.time_ns())
                    await stage.attack(attacks.named(name), self.shop, PEOPLE, seed=SEED, log=log, pace=pace, via=via)
                planned = list(traffic.plan(PEOPLE, SEED, 600, 30))[:visits]
                for visit in planned:
                    await stage.visit(visit, self.shop, PEOPLE, via, Scheduled(time.time_ns()), log)
                await incident.flush(self.shop, via)

        asyncio.run(act())
        spans = [span for request in self.recorder.take() for span in decode(request.SerializeToString()).spans]
        runs, ordinary = truth.read(path)
        return Performed(self.shop.database, {run.begin.attack: run for run in runs}, ordinary, spans, traces_of(spans))


def traces_of(spans: Sequence[Span]) -> dict[str, Trace]:
    by_id: dict[str, list[Span]] = {}
    for span in spans:
        by_id.setdefault(span.trace_id, []).append(span)
    return {trace_id: build(Decoded(members)) for trace_id, members in by_id.items()}


@contextmanager
def open_shop(folder: Path, *, sqlite: bool = False, without_sdk: Sequence[str] = ()) -> Iterator[Shop]:
    """The shop with all its processes. PostgreSQL is expected where CI says that nothing may be missing."""
    if not sqlite and postgres.binaries() is None:
        reason = "PostgreSQL is not installed (Debian: apt-get install postgresql)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    recorder = Recorder()
    recorder.start()
    family = Family(folder / "logs")
    started = None
    try:
        started = fleet.start(family, folder / "shop", otlp_url=recorder.url, seed=SEED, sqlite=sqlite, without_sdk=without_sdk)
        yield Shop(started, recorder, folder)
    finally:
        family.stop()
        if started:
            started.forget()
        recorder.stop()
