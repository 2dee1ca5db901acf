"""How the sources' answers become facts."""

import httpx2 as httpx
import pytest

from app.doctor.asking import counters, kept, metrics, pipeline, rises, traces
from app.doctor.facts import Missing
from app.doctor.retention import OpenCase
from app.investigation import labels
from app.settings import PrometheusSettings, TempoSettings
from app.sources.prometheus import PrometheusClient
from app.sources.tempo import TempoClient
from app.sources.values import Sample, Series
from app.times import HOUR, MINUTE, SECOND, UnixNanos

END = UnixNanos(1_790_000_000 * SECOND)
START = UnixNanos(END - HOUR)
STEP = rises.step(START, END)
LABELS = labels.load()
TARGET = {"job": "otel", "instance": "c:8889"}


def prometheus(answer):
    """A Prometheus that answers each query as told: a function of the query's text, to rows of (labels, values)."""

    def handler(request):
        params = dict(request.url.params)
        path = request.url.path.removeprefix("/api/v1/")
        if path not in ("query", "query_range"):
            told = answer(path)
            return httpx.Response(200 if told is not None else 404, json={"status": "success", "data": told})
        rows = answer(params["query"]) or []
        if path == "query":
            result = [{"metric": m, "value": [END // SECOND, str(values)]} for m, values in rows]
            return httpx.Response(200, json={"status": "success", "data": {"resultType": "vector", "result": result}})
        begin, step = float(params["start"]), float(params["step"])
        result = [
            {"metric": m, "values": [[begin + step * n, str(v)] for n, v in enumerate(values) if v is not None]}
            for m, values in rows
        ]
        return httpx.Response(200, json={"status": "success", "data": {"resultType": "matrix", "result": result}})

    settings = PrometheusSettings(url="http://p:9090", attempts=1)
    return PrometheusClient(settings, transport=httpx.MockTransport(handler), clock=lambda: END)


def tempo(handler):
    settings = TempoSettings(url="http://t:3200", attempts=1, search_cutoff_s=0)
    return TempoClient(settings, transport=httpx.MockTransport(handler), clock=lambda: END)


# --------------------------------------------------------------------------------------------------------------- rises


def series(*values, **labels_):
    samples = tuple(Sample(UnixNanos(START + n * STEP), v) for n, v in enumerate(values) if v is not None)
    return Series({**TARGET, **labels_}, samples)


@pytest.mark.parametrize(
    ("values", "scraped_from", "rose"),
    [
        ((10, 10, 14), 0, 4),
        ((None, None, 400), 0, 400),
        ((None, None, 400), 2, 0),
        ((90, 3, 5), 0, 5),
        ((), 0, 0),
    ],
    ids=["a rise", "born while it was scraped", "seen since the scraping began", "a restart", "nothing"],
)
def test_a_counter_that_appears_rose_only_if_its_target_was_scraped_before(values, scraped_from, rose):
    since = {("otel", "c:8889"): START + scraped_from * STEP}
    assert rises.rise(series(*values), since, START, STEP) == rose


# ------------------------------------------------------------------------------------------------------------ counters


async def test_checks_are_counted_by_service_and_result_over_all_their_series():
    def answer(q):
        if q.startswith("up{"):
            return [(TARGET, [1] * 100)]
        if q.startswith("count("):
            return [({}, 3)]
        base = {"__name__": "otel_security_calls_total", "service_name": "identity", **TARGET}
        return [
            ({**base, "auth_result": "failure", "auth_client_subnet": "a"}, [5] * 60 + [45] * 40),
            ({**base, "auth_result": "failure", "auth_client_subnet": "b"}, [None] * 50 + [7] * 50),
            ({**base, "auth_result": "success", "auth_client_subnet": "a"}, [1] * 50 + [3] * 50),
        ]

    told = await counters.tally(prometheus(answer), LABELS.counters[0], START, END)
    assert told.by == {("identity", "failure"): 47, ("identity", "success"): 2}
    assert told.slack == 0


async def test_what_rose_in_the_first_minute_may_be_of_before():
    def answer(q):
        if q.startswith("up{"):
            return [(TARGET, [1] * 100)]
        if q.startswith("count("):
            return [({}, 1)]
        return [({"service_name": "identity", "auth_result": "failure", **TARGET}, [0, 30, 30, 30, 34])]

    told = await counters.tally(prometheus(answer), LABELS.counters[0], START, END)
    assert (told.of("failure"), told.slack) == (34, 30)


async def test_too_many_series_are_estimated_and_that_is_said():
    def answer(q):
        if q.startswith("count("):
            return [({}, 9_000)]
        assert q.startswith("sum by (service_name, auth_result) (increase(")
        return [({"service_name": "identity", "auth_result": "failure"}, 12.4)]

    told = await counters.tally(prometheus(answer), LABELS.counters[0], START, END)
    assert told.of("failure", "identity") == 12
    assert "estimate" in told.about


async def test_without_the_counter_nothing_is_compared():
    told = await counters.known(prometheus(lambda q: []), LABELS, START, END)
    assert isinstance(told, Missing)
    assert "otel_security_calls_total" in told.why


# ------------------------------------------------------------------------------------------------------------ pipeline


async def test_a_collectors_numbers_with_and_without_total():
    def answer(q):
        if q.startswith("up{"):
            return [({"job": "c", "instance": "c:8888"}, [1] * 100)]
        match q:
            case "targets":
                return {"activeTargets": [{"labels": {"job": "c", "instance": "c:8888"}, "health": "down", "lastError": "no"}]}
            case "rules":
                rule = {"type": "alerting", "name": "AuthX", "query": "otel_security_calls_total > 1", "health": "err",
                        "lastError": "bad"}  # fmt: skip
                other = {"type": "alerting", "name": "Disk", "query": "disk > 1", "health": "err"}
                return {"groups": [{"name": "g", "file": "f", "interval": 15, "rules": [rule, other]}]}
            case "alerts":
                alert = {"labels": {"alertname": "CollectorDown", "detection_type": "blind"}, "annotations": {},
                         "state": "firing", "activeAt": "2026-09-21T13:46:40Z", "value": "1"}  # fmt: skip
                return {"alerts": [alert]}
        own = {"job": "c", "instance": "c:8888"}
        if "receiver_(accepted" in q:
            return [
                ({"__name__": "otelcol_receiver_accepted_spans", "receiver": "otlp", **own}, [0] * 50 + [900] * 71),
                ({"__name__": "otelcol_exporter_send_failed_spans_total", "exporter": "tempo", **own}, [None] * 115 + [40] * 6),
                ({"__name__": "otelcol_processor_refused_spans", "processor": "memory_limiter", **own}, [3] + [5] * 120),
                ({"__name__": "otelcol_receiver_refused_spans", "receiver": "otlp", **own}, [2] * 121),
            ]
        if "queue_size" in q:
            return [({"exporter": "tempo", **own}, 95)]
        if "queue_capacity" in q:
            return [({"exporter": "tempo", **own}, 100)]
        return [({}, 7)] if q.startswith("count(") else []

    told = await pipeline.pipeline(prometheus(answer), LABELS, START, END)
    losses = {loss.counter: (loss.count, loss.still, loss.at) for loss in told.losses}
    assert losses == {
        "exporter_send_failed_spans": (40, True, "tempo"),
        "memory_limiter_refused_spans": (2, False, "memory_limiter"),
    }
    assert told.accepted == 900
    assert told.settled
    assert told.collectors == ("c:8888",)
    assert [(level.worst, level.limit) for level in told.queues] == [(95, 100)]
    assert [(target.up, target.error) for target in told.targets] == [(False, "no")]
    assert (told.rules, told.broken_rules, told.blind_alerts) == (("AuthX",), (("AuthX", "bad"),), ("CollectorDown",))


async def test_labels_are_counted_and_the_surplus_series_is_seen():
    def answer(q):
        if q == "labels":
            return ["__name__", "job", "span_name", "auth_result", "otel_metric_overflow"]
        if q.startswith("count by (__name__)"):
            return [({"__name__": "otel_security_calls_total"}, 40)]
        if q.startswith("count(count by (span_name)"):
            return [({}, 30)]
        return [({}, 2)]

    [told] = await metrics.metrics(prometheus(answer), LABELS, START, END)
    assert (told.series, told.before, told.overflow) == (40, 40, True)
    assert told.labels == (("span_name", 30), ("auth_result", 2))


# ------------------------------------------------------------------------------------------------------------- keeping


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("compactor:\n    compaction:\n        block_retention: 336h0m0s\n", 336),
        ("overrides:\n  block_retention: 0s\ncompaction:\n  block_retention: 720h\n  block_retention: 48h\n", 48),
        ("nothing here", None),
    ],
)
async def test_tempos_own_listing_tells_how_long_it_keeps(text, hours):
    told = await kept.traces_for(tempo(lambda request: httpx.Response(200, text=text)))
    assert told == hours * HOUR if hours else isinstance(told, Missing)


async def test_a_gateway_that_hides_the_listing_leaves_it_unknown():
    assert isinstance(await kept.traces_for(tempo(lambda request: httpx.Response(404))), Missing)


async def test_traces_of_a_case_that_are_gone():
    cases = [OpenCase("CASE-0001", START, ("a" * 32, "b" * 32))]
    told = await kept.case_traces(tempo(lambda request: httpx.Response(404)), cases)
    assert [(case.case, case.asked, len(case.gone)) for case in told] == [("CASE-0001", 2, 2)]


# -------------------------------------------------------------------------------------------------------------- counts


async def test_a_count_too_long_for_tempo_is_asked_for_in_pieces():
    asked = []

    def handler(request):
        asked.append(request.url.path)
        if request.url.path == "/api/metrics/query":
            return httpx.Response(400, text="range specified by start and end exceeds 3h0m0s")
        labels_ = [{"key": "resource.service.name", "value": {"stringValue": "identity"}}]
        samples = [{"timestampMs": str(START // 10**6), "value": 3}, {"timestampMs": str(START // 10**6 + 60_000), "value": 4}]
        return httpx.Response(200, json={"series": [{"labels": labels_, "samples": samples}]})

    assert await traces.spans_by_service(tempo(handler), START, START + 30 * MINUTE) == {"identity": 7}
    assert asked == ["/api/metrics/query", "/api/metrics/query_range"]


async def test_since_when_targets_are_scraped_is_asked_of_the_counters_own_targets_alone():
    asked = []

    def answer(q):
        asked.append(q)
        return [(TARGET, [None, 1, 1])]

    since = await rises.alive(prometheus(answer), [series(1, 2)], START, END)
    assert since == {("otel", "c:8889"): START + STEP}
    assert asked == ['up{instance=~"c\\\\:8889"} == 1']
    crowd = [Series({"instance": f"c{n}:1"}, ()) for n in range(101)]
    assert await rises.alive(prometheus(answer), crowd, START, END) == {}
    assert len(asked) == 1
