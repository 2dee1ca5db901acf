"""From Tempo's answer to evidence with the parts that run: client, engine, database."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest
from support.case_samples import INES, NOW
from support.recorded_tempo import RecordedTempo, recorded, response

from app.analysis.examine import examine
from app.analysis.verdict import Verdict
from app.cases import preserve, service, store, verification
from app.cases.store import Filter
from app.investigation.opened import OpenTraces
from app.settings import load
from app.sources.tempo import TempoClient

TRACES = sorted(("1" * 32, "3" * 32, "4" * 32, "5" * 32))

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
async def tempo():
    settings = load(tempo={"url": "http://tempo:3200", "username": "clew", "password": "canary-secret", "tenant": "shop"}).tempo
    client = TempoClient(settings, transport=RecordedTempo())
    yield client
    await client.aclose()


async def test_what_tempo_sent_is_what_is_kept(database, tempo):
    traces = OpenTraces(tempo.trace, examine)
    async with database.writing() as db:
        number = (await service.open_case(db, title="Recorded", by=INES, at=NOW)).number
    for count, trace_id in enumerate(TRACES, 1):
        capture = await preserve.collect(traces, trace_id, backend=await preserve.version_of(tempo))
        async with database.writing() as db:
            at = NOW + dt.timedelta(seconds=count)
            kept = await preserve.preserve_trace(db, number, capture, by=INES, at=at)
        sent = response(recorded(f"trace-v2/{trace_id}")).content
        async with database.reading() as db:
            item = (await store.evidence_item(db, number, kept.item.number)).item
            assert (await verification.bytes_of(db, number, kept.item.number))[1] == sent
        assert item.source_url == f"http://tempo:3200/api/v2/traces/{trace_id}"
        assert (item.tenant, item.trace_id) == ("shop", trace_id)
        assert "canary-secret" not in repr(item)
        assert msgspec.json.decode(item.verdict, type=Verdict) == capture.verdict
    async with database.reading() as db:
        events = [one.event for one in await store.events(db, number, Filter(), limit=100)]
        assert (await verification.check(db, number)).passed
    assert [event.kind for event in events].count("evidence") == len(TRACES)
    assert {event.trace_id for event in events if event.kind == "decision"} == set(TRACES)
