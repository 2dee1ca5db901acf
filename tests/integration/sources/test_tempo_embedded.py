"""The Tempo client against the embedded backend, which it cannot tell from Tempo."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2 as httpx
import pytest

from app.embedded.app import Backend
from app.embedded.tempo_api import Switches
from app.errors import NotFound, SourceRefused
from app.settings import TempoSettings
from app.sources.exhaustive import exhaustive_search
from app.sources.tempo import TempoClient
from app.times import SECOND, now_ns

TRACES = 120
FIRST_S = now_ns() // SECOND - 600


def trace_id(number: int) -> str:
    """Most begin with a zero, which a search does not send."""
    return f"{number + 1:032x}"


def export() -> bytes:
    """One login each second, every fourth of them failed; two spans each."""
    spans = []
    for number in range(TRACES):
        start = (FIRST_S + number) * SECOND
        outcome = "failure" if number % 4 == 0 else "success"
        common = {"traceId": trace_id(number), "startTimeUnixNano": str(start), "endTimeUnixNano": str(start + 50_000_000)}
        root = {"spanId": f"{2 * number + 1:016x}", "name": "POST /login", "kind": 2}
        check = {
            "spanId": f"{2 * number + 2:016x}",
            "parentSpanId": root["spanId"],
            "name": "auth.login",
            "kind": 1,
            "attributes": [
                {"key": "auth.result", "value": {"stringValue": outcome}},
                {"key": "auth.username", "value": {"stringValue": f'user "{number}" \\'}},
            ],
        }
        spans += [common | root, common | check]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "identity"}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}).encode()


class Rig:
    """A backend with the traces in it, and a client of its query side."""

    def __init__(self, folder: Path, switches: Switches | None = None, **given: object) -> None:
        self.backend = Backend(folder, switches=switches)
        settings = TempoSettings.model_validate({"url": "http://tempo:3200", "search_cutoff_s": 0} | given)
        self.tempo = TempoClient(settings, transport=httpx.ASGITransport(self.backend.query))

    async def fill(self) -> None:
        transport = httpx.ASGITransport(self.backend.otlp)
        async with httpx.AsyncClient(transport=transport, base_url="http://otlp") as client:
            headers = {"Content-Type": "application/json", "X-Scope-OrgID": "team-a"}
            answer = await client.post("/v1/traces", content=export(), headers=headers)
        assert answer.status_code == 200

    async def close(self) -> None:
        await self.tempo.aclose()
        self.backend.close()


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    one = Rig(tmp_path)
    await one.fill()
    yield one
    await one.close()


START, END = FIRST_S * SECOND, (FIRST_S + TRACES) * SECOND
FAILED = '{ span.auth.result = "failure" }'


async def test_a_trace_by_its_short_id(rig):
    trace, received = await rig.tempo.trace("1")
    assert trace.trace_id == received.trace_id == trace_id(0)
    assert [node.span.name for node in trace.nodes] == ["POST /login", "auth.login"]
    assert trace.nodes[1].span.attributes["auth.username"] == 'user "0" \\'
    with pytest.raises(NotFound):
        await rig.tempo.trace("f" * 32)


async def test_a_search_and_its_limit(rig):
    found = await rig.tempo.search(FAILED, START, END)
    assert {trace.trace_id for trace in found.traces} == {trace_id(n) for n in range(0, TRACES, 4)}
    assert not found.limited
    few = await rig.tempo.search(FAILED, START, END, limit=7)
    assert few.limited
    assert len(few.traces) == 7


async def test_an_exhaustive_search_finds_what_the_counts_say(rig):
    result = await exhaustive_search(rig.tempo, "{}", START, END, limit=10)
    assert result.complete
    assert [trace.trace_id for trace in result.traces] == [trace_id(n) for n in reversed(range(TRACES))]
    # Metrics leave out the window's very first instant, at which the first login lies.
    counted = await rig.tempo.metrics_instant(f"{FAILED} | count_over_time()", START - SECOND, END + SECOND)
    failed = await exhaustive_search(rig.tempo, FAILED, START, END, limit=10)
    assert counted.series[0].samples[0].value == len(failed.traces) == TRACES // 4


async def test_metrics_over_time_by_an_attribute(rig):
    result = await rig.tempo.metrics_range(
        "{ span.auth.result != nil } | count_over_time() by (span.auth.result)", START, END, 60
    )
    totals = {s.labels["span.auth.result"]: sum(sample.value for sample in s.samples) for s in result.series}
    assert totals == {"failure": TRACES // 4, "success": TRACES - TRACES // 4}


async def test_tags(rig):
    names = await rig.tempo.tag_names("span", start_ns=START, end_ns=END)
    assert set(names["span"]) >= {"auth.result", "auth.username"}
    values = await rig.tempo.tag_values("span.auth.result", start_ns=START, end_ns=END)
    assert {(value.type, value.value) for value in values} == {("string", "failure"), ("string", "success")}


async def test_a_bad_query_and_status(rig):
    with pytest.raises(SourceRefused, match="Tempo does not accept the query"):
        await rig.tempo.search("{ nonsense", START, END)
    assert await rig.tempo.ready()
    assert await rig.tempo.echo()
    assert rig.tempo.health.failing_since_ns is None


async def test_partial_traces_and_tenants(tmp_path):
    switches = Switches(max_trace_bytes=1, require_tenant=True)
    one, other = Rig(tmp_path / "a", switches, tenant="team-a"), Rig(tmp_path / "b", switches)
    await one.fill()
    try:
        with pytest.raises(SourceRefused, match="asks which tenant"):
            await other.tempo.search("{}", START, END)
        trace, received = await one.tempo.trace("1")
        assert received.partial
        assert received.note
        assert trace.partial
    finally:
        await one.close()
        await other.close()
