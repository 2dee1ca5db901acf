"""An incident that is already over: real requests against the real shop, performed at full speed, with each trace moved
to the moment its script had scheduled it for. Spans and ground truth move alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

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
# A visit takes up to a minute by its own clock.
LAST_VISIT_BEFORE_END_S = 60


class Part(msgspec.Struct, frozen=True):
    """Scripts that were performed, with their spans at the scheduled times."""

    requests: list[ExportTraceServiceRequest]
    journals: list[Journal]
    dropped_spans: int


class Recording(msgspec.Struct, frozen=True):
    """A window of time and what was recorded for it, part by part."""

    start_ns: UnixNanos
    end_ns: UnixNanos
    parts: list[Part] = []

    @property
    def requests(self) -> list[ExportTraceServiceRequest]:
        return [request for part in self.parts for request in part.requests]

    @property
    def journals(self) -> list[Journal]:
        return [journal for part in self.parts for journal in part.journals]

    @property
    def traces(self) -> int:
        return sum(len(journal.shift_ns) for journal in self.journals)

    @property
    def dropped_spans(self) -> int:
        return sum(part.dropped_spans for part in self.parts)

    @property
    def unexpected(self) -> int:
        return sum(not request.as_expected for journal in self.journals for request in journal.requests)


def window(now_ns: int, minutes: float = WINDOW_MIN) -> Recording:
    """An empty recording of that length, which ends a little before now."""
    end_ns = now_ns - ENDS_BEFORE_NOW_MIN * MINUTE
    return Recording(UnixNanos(end_ns - round(minutes * MINUTE)), UnixNanos(end_ns))


async def record(
    into: Recording,
    shop: Shop,
    world: World,
    recorder: Recorder,
    *,
    seed: int,
    log: truth.Log,
    story: Sequence[tuple[float, str]] = STORY,
    visits_per_minute: float = VISITS_PER_MINUTE,
) -> AsyncIterator[Part]:
    """Perform the story, then its ordinary background; each part is added and handed over when it is done.

    The services must export to `recorder`. Attacks run one after the other, since each begins by unlocking all accounts,
    and without visitors, who at full speed would run into outages that the schedule spares them.
    """
    async with stage.client() as via:
        journals = []
        for minute, name in story:
            pace = Scheduled(into.start_ns + round(minute * MINUTE))
            journals.append(await stage.attack(attacks.named(name), shop, world, seed=seed, log=log, pace=pace, via=via))
        yield await _part(into, shop, recorder, via, journals)

        gate = asyncio.Semaphore(AT_ONCE)

        async def visit(planned: traffic.Visit) -> Journal:
            async with gate:
                pace = Scheduled(into.start_ns + round(planned.start_s * SECOND))
                return await stage.visit(planned, shop, world, via, pace, log)

        seconds = (into.end_ns - into.start_ns) / SECOND - LAST_VISIT_BEFORE_END_S
        visits = traffic.plan(world, seed, seconds, visits_per_minute)
        journals = await asyncio.gather(*(visit(planned) for planned in visits))
        yield await _part(into, shop, recorder, via, journals)


async def _part(into: Recording, shop: Shop, recorder: Recorder, via: httpx.AsyncClient, journals: list[Journal]) -> Part:
    await flush(shop, via)
    requests = recorder.take()
    shifts = {trace_id: shift for journal in journals for trace_id, shift in journal.shift_ns.items()}
    part = Part(requests, journals, retime.move(requests, shifts))
    into.parts.append(part)
    return part


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
