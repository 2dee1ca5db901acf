"""The whole way, over the real HTTP API of the embedded backend in this process."""

import httpx2 as httpx
import msgspec
import pytest
from support.doctor_facts import JUDGE, WHOLE
from support.draw import spans_of

from app.doctor import gather
from app.doctor.report import State
from app.embedded.app import Backend
from app.investigation import labels
from app.investigation.sources import Sources
from app.settings import PrometheusSettings, TempoSettings
from app.sources.prometheus import PrometheusClient
from app.sources.tempo import TempoClient
from app.times import HOUR, MINUTE, SECOND, UnixNanos, now_ns
from app.traces.otlp import encode_json

LABELS = labels.load()


@pytest.fixture
async def backend(tmp_path):
    made = Backend(tmp_path / "spans")
    yield made
    made.close()


async def send(backend, text, count, *, ago_ns):
    """The drawn trace so often, spread over ten minutes that ended `ago_ns` before now."""
    drawn = spans_of(text)
    first = min(span.start_ns for span in drawn)
    end = now_ns() - ago_ns
    spans = []
    for number in range(count):
        shift = end - 10 * MINUTE * number // count - first - SECOND
        trace_id = f"{ago_ns % 9973 + number + 1:032x}"
        spans += [
            msgspec.structs.replace(one, trace_id=trace_id, start_ns=one.start_ns + shift, end_ns=one.end_ns + shift)
            for one in drawn
        ]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(backend.otlp), base_url="http://otlp") as client:
        answer = await client.post("/v1/traces", content=encode_json(spans), headers={"Content-Type": "application/json"})
    assert answer.status_code == 200


def tempo(backend):
    settings = TempoSettings(url="http://tempo:3200", search_cutoff_s=0)
    return TempoClient(settings, transport=httpx.ASGITransport(backend.query))


async def examine(sources, **given):
    now = now_ns()
    start = UnixNanos(now - HOUR)
    return await gather.examine(sources, JUDGE, LABELS, start_ns=start, end_ns=now, now_ns=now, **given)


async def test_traces_are_sampled_judged_and_looked_at(backend):
    await send(backend, WHOLE, 30, ago_ns=MINUTE)
    await send(backend, "mail: POST /send  200\n  mail: auth.authorize  auth=passed", 40, ago_ns=70 * MINUTE)
    report = await examine(Sources(tempo=tempo(backend)), cases=())
    assert (report.sample.found, report.sample.judged) == (30, 30)
    rows = {row.service: row for row in report.services}
    assert (rows["gateway"].traces, rows["gateway"].spans) == (30, 90)
    assert rows["orders"].context_in.part == 1
    assert [(one.check, one.subject) for one in report.findings if one.area.value == "coverage"] == [
        ("coverage.silent", "mail")
    ]


async def test_the_sample_is_bounded_and_comes_from_all_over_the_window(backend):
    await send(backend, WHOLE, 40, ago_ns=MINUTE)
    await send(backend, WHOLE, 40, ago_ns=45 * MINUTE)
    report = await examine(Sources(tempo=tempo(backend)), most_traces=24)
    assert report.sample.judged == 24
    assert "24 traces" in report.sample.sentence


async def test_a_flood_of_one_kind_does_not_hide_a_rare_service(backend):
    await send(backend, WHOLE, 300, ago_ns=MINUTE)
    await send(backend, "mail: POST /send  200\n  mail: auth.authorize  auth=passed", 2, ago_ns=3 * MINUTE)
    report = await examine(Sources(tempo=tempo(backend)), most_traces=20)
    assert report.sample.judged == 20
    assert {row.service: row.traces for row in report.services}["mail"] == 2


async def test_what_needs_prometheus_is_not_known_without_it(backend):
    await send(backend, WHOLE, 10, ago_ns=MINUTE)
    report = await examine(Sources(tempo=tempo(backend)))
    states = {check.check: check for check in report.checks}
    assert states["sampling.refusals_kept"].state is State.UNKNOWN
    assert states["sampling.refusals_kept"].why == "Prometheus is not set up."
    assert states["retention.cases"].state is State.UNKNOWN
    assert report.score.value + report.score.unchecked <= 100


async def test_a_prometheus_that_is_down_is_a_finding_and_leaves_the_rest_standing(backend):
    await send(backend, WHOLE, 10, ago_ns=MINUTE)

    def down(request):
        raise httpx.ConnectError("connection refused", request=request)

    prometheus = PrometheusClient(
        PrometheusSettings(url="http://p:9090", attempts=1), transport=httpx.MockTransport(down)
    )  # fmt: skip
    report = await examine(Sources(tempo=tempo(backend), prometheus=prometheus))
    assert report.findings[0].check == "connection.prometheus"
    assert report.sample.judged == 10


async def test_everything_down_is_a_report_too():
    def down(request):
        raise httpx.ConnectError("connection refused", request=request)

    client = TempoClient(TempoSettings(url="http://t:3200", attempts=1), transport=httpx.MockTransport(down))
    report = await examine(Sources(tempo=client))
    assert report.findings[0].check == "connection.tempo"
    assert report.services == ()
    assert report.score.unchecked > 80


async def test_young_traces_may_still_be_under_way(backend):
    half = WHOLE.rpartition("    orders: GET")[0]
    await send(backend, half, 10, ago_ns=0)
    young = await examine(Sources(tempo=tempo(backend)), settle_s=3_000)
    assert not [one for one in young.findings if one.check == "coverage.uninstrumented"]
    grown = await examine(Sources(tempo=tempo(backend)), settle_s=0)
    assert [one.subject for one in grown.findings if one.check == "coverage.uninstrumented"] == ["orders"]


async def test_how_long_the_backend_keeps_is_read(backend):
    await send(backend, WHOLE, 10, ago_ns=MINUTE)
    report = await examine(Sources(tempo=tempo(backend)))
    assert [one.measured for one in report.findings if one.check == "retention.traces"] == ["3 d"]
