"""An incident that is already over: real requests against the real shop, performed at full speed, with each trace moved
to the moment its script had scheduled it for. Spans and ground truth move alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx2 as httpx
import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.errors import SourceUnavailable
from app.lab import attacks, retime, stage, traffic, truth
from app.lab.control_client import ask
from app.lab.fleet import Shop
from app.lab.pace import Scheduled
from app.lab.recorder import Recorder
from app.lab.visitor import Journal
from app.lab.world import World
from app.times import MINUTE, SECOND, UnixNanos

WINDOW_MIN = 150
# Spans younger than this would be counted by the backend's live metrics, and so be counted twice.
ENDS_BEFORE_NOW_MIN = 6
# Minutes after the start of the window: guessing, then a leaked list that works, then what the thief does with it.
STORY = (
    (24, "brute-force"),
    (61, "credential-stuffing"),
    (72, "object-walking"),
    (90, "authorization-probing"),
    (112, "fail-open"),
)
VISITS_PER_MINUTE = 0.9
AT_ONCE = 6


class Recording(msgspec.Struct, frozen=True):
    """What was recorded, at its scheduled times."""

    start_ns: UnixNanos
    end_ns: UnixNanos
    requests: list[ExportTraceServiceRequest]
    journals: list[Journal]
    dropped_spans: int

    @property
    def traces(self) -> int:
        return sum(len(journal.shift_ns) for journal in self.journals)

    @property
    def unexpected(self) -> int:
        return sum(not request.as_expected for journal in self.journals for request in journal.requests)


async def record(
    shop: Shop,
    world: World,
    recorder: Recorder,
    *,
    now_ns: int,
    seed: int,
    log: truth.Log,
    story: Sequence[tuple[float, str]] = STORY,
    window_min: float = WINDOW_MIN,
    visits_per_minute: float = VISITS_PER_MINUTE,
) -> Recording:
    """Perform the story and its ordinary background, and hand over the spans. The services must export to `recorder`.

    Attacks run one after the other, since each begins by unlocking all accounts; those that break a service wait until
    the background is through, because at full speed it would run into the outage that its schedule avoids.
    """
    end_ns = now_ns - ENDS_BEFORE_NOW_MIN * MINUTE
    start_ns = end_ns - round(window_min * MINUTE)
    async with stage.client() as via:
        gate = asyncio.Semaphore(AT_ONCE)

        async def visit(planned: traffic.Visit) -> Journal:
            async with gate:
                pace = Scheduled(start_ns + round(planned.start_s * SECOND))
                return await stage.visit(planned, shop, world, via, pace, log)

        async def attack(minute: float, name: str) -> Journal:
            pace = Scheduled(start_ns + round(minute * MINUTE))
            return await stage.attack(attacks.named(name), shop, world, seed=seed, log=log, pace=pace, via=via)

        visits = traffic.plan(world, seed, window_min * 60 - 60, visits_per_minute)
        background = asyncio.gather(*(visit(planned) for planned in visits))
        journals = [await attack(*scene) for scene in story if scene[1] not in attacks.OUTAGES]
        journals += await background
        journals += [await attack(*scene) for scene in story if scene[1] in attacks.OUTAGES]
        await flush(shop, via)
    shifts = {trace_id: shift for journal in journals for trace_id, shift in journal.shift_ns.items()}
    requests = recorder.take()
    dropped = retime.move(requests, shifts)
    return Recording(UnixNanos(start_ns), UnixNanos(end_ns), requests, journals, dropped)


async def flush(shop: Shop, via: httpx.AsyncClient) -> None:
    """Have every service send what it still holds."""
    for name in shop.urls:
        await ask(via, shop, name, "/lab/flush")


async def send_telemetry_to(shop: Shop, otlp_url: str, via: httpx.AsyncClient) -> None:
    """From now on the services export there."""
    for name in shop.urls:
        await ask(via, shop, name, "/lab/telemetry", msgspec.json.encode({"otlp_url": otlp_url}))


async def deliver(requests: Sequence[ExportTraceServiceRequest], otlp_url: str, via: httpx.AsyncClient) -> None:
    """Send the recording on, as the services' own exporters would have. Errors: SourceUnavailable."""
    for request in requests:
        try:
            answer = await via.post(
                f"{otlp_url}/v1/traces",
                content=request.SerializeToString(),
                headers={"content-type": "application/x-protobuf"},
                timeout=30.0,
            )
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise SourceUnavailable("the trace backend", "OTLP export", f"{otlp_url} does not take spans.") from error
