"""The Prometheus client against answers of the versions from 2.40 to 3.x, and of Mimir."""

import math
from urllib.parse import parse_qs

import httpx2 as httpx
import pytest

from app.errors import InvalidInput, SourceRefused, SourceUnavailable, SourceUnreadable
from app.settings import PrometheusSettings
from app.sources.prometheus import PrometheusClient
from app.sources.values import AlertState, Sample, Series
from app.times import SECOND, UnixNanos

T0 = 1_790_000_000 * SECOND


def client(handler, **given: object) -> PrometheusClient:
    settings = PrometheusSettings.model_validate({"url": "http://prometheus:9090", "attempts": 1} | given)
    transport = httpx.MockTransport(handler if callable(handler) else lambda request: handler)
    return PrometheusClient(settings, transport=transport, clock=lambda: UnixNanos(T0))


def data(value: object, **more: object) -> httpx.Response:
    return httpx.Response(200, json={"status": "success", "data": value} | more)


def error(status: int, kind: str, text: str) -> httpx.Response:
    return httpx.Response(status, json={"status": "error", "errorType": kind, "error": text})


# ---------------------------------------------------------------------------------------------------------- queries


async def test_a_vector_has_one_exact_sample_per_series():
    rows = [{"metric": {"__name__": "up", "http.status_code": "200"}, "value": [1795327638.633, "0.5"]}]
    result = await client(data({"resultType": "vector", "result": rows})).query("up", T0)
    assert result.series == (
        Series({"__name__": "up", "http.status_code": "200"}, (Sample(UnixNanos(1795327638_633_000_000), 0.5),)),
    )


@pytest.mark.parametrize(("text", "value"), [("+Inf", math.inf), ("-Inf", -math.inf), ("1e+00", 1.0), ("-0", 0.0)])
async def test_values_are_text(text, value):
    result = await client(data({"resultType": "scalar", "result": [1790000000, text]})).query("x")
    assert result.series == (Series({}, (Sample(UnixNanos(T0), value),)),)


async def test_not_a_number_is_a_value():
    result = await client(data({"resultType": "scalar", "result": [1790000000, "NaN"]})).query("x")
    assert math.isnan(result.series[0].samples[0].value)


async def test_native_histograms_are_counted_and_not_invented():
    rows = [
        {"metric": {"a": "1"}, "histograms": [[1790000000, {"count": "1", "sum": "2"}]]},
        {"metric": {"a": "2"}, "values": [[1790000000, "1"]], "histograms": [[1790000015, {}]]},
        {"metric": {"a": "3"}, "values": [[1790000000, "1"]]},
    ]
    result = await client(data({"resultType": "matrix", "result": rows})).query("x[1m]")
    assert [len(series.samples) for series in result.series] == [0, 1, 1]
    assert result.warnings == ("2 series hold native histograms, whose samples are not shown.",)


async def test_warnings_and_infos_are_kept():
    answer = data({"resultType": "vector", "result": []}, warnings=["w"], infos=["PromQL info: metric might not be a counter"])
    result = await client(answer).query("x")
    assert result.warnings == ("w", "PromQL info: metric might not be a counter")


async def test_a_text_is_not_a_series():
    with pytest.raises(InvalidInput, match="text"):
        await client(data({"resultType": "string", "result": [1790000000, "hello"]})).query('"hello"')


@pytest.mark.parametrize(
    "answer",
    [
        data({"resultType": "vector", "result": [{"metric": {}, "value": [1790000000, "many"]}]}),
        data({"resultType": "vector", "result": [{"metric": {}, "value": [1e300, "1"]}]}),
        data({"resultType": "vector", "result": [{"metric": {"a": 1}, "value": [1, "1"]}]}),
        data({"resultType": "streams", "result": []}),
        data([]),
        httpx.Response(200, json={"status": "success"}),
        httpx.Response(200, json=[]),
        httpx.Response(
            200, content=b'{"status":"success","data":' + b"[" * 50_000, headers={"Content-Type": "application/json"}
        ),
    ],
)
async def test_what_the_api_does_not_promise_is_unreadable(answer):
    with pytest.raises(SourceUnreadable):
        await client(answer).query("x")


async def test_short_questions_are_got_and_long_ones_posted():
    seen = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return data({"resultType": "vector", "result": []})

    one = client(handler)
    await one.query("up", T0 + 1_234_567)
    assert seen[0].method == "GET"
    assert dict(seen[0].url.params) == {"query": "up", "time": "1790000000.001"}
    await one.query("x" * 2000)
    assert seen[1].method == "POST"
    assert not seen[1].url.query
    assert parse_qs(seen[1].content.decode()) == {"query": ["x" * 2000]}
    assert seen[1].headers["Content-Type"] == "application/x-www-form-urlencoded"


async def test_a_range_longer_than_one_answer_is_asked_for_in_pieces_on_one_grid():
    seen = []

    def handler(request: httpx.Request) -> httpx.Response:
        params = {key: float(value) for key, value in request.url.params.items() if key != "query"}
        seen.append(params)
        count = round((params["end"] - params["start"]) / params["step"]) + 1
        assert count <= 100
        values = [[params["start"] + n * params["step"], str(len(seen))] for n in range(count)]
        rows = [{"metric": {"a": "1"}, "values": values}]
        if len(seen) == 2:
            rows.append({"metric": {"a": "2"}, "values": values[:1]})
        return data({"resultType": "matrix", "result": rows}, warnings=["same"])

    result = await client(handler, max_points=100).query_range("x", T0, T0 + 250 * 15 * SECOND, 15)
    assert [params["start"] for params in seen] == [1_790_000_000 + n * 1500 for n in range(3)]
    first = next(series for series in result.series if series.labels == {"a": "1"})
    assert [sample.time_ns for sample in first.samples] == [T0 + n * 15 * SECOND for n in range(251)]
    assert len(result.series) == 2
    assert result.warnings == ("same",)


@pytest.mark.parametrize(("start", "end", "step"), [(T0, T0 - 1, 1), (T0, T0 + 1, 0), (T0, T0 + 1, -5), (T0, T0, 0.0001)])
async def test_a_range_that_is_none_is_the_callers_mistake(start, end, step):
    with pytest.raises(InvalidInput):
        await client(data(None)).query_range("x", start, end, step)


@pytest.mark.parametrize(
    ("answer", "kind", "sentence"),
    [
        (
            error(400, "bad_data", 'parse error: "up["'),
            SourceRefused,
            'Prometheus does not accept the query: parse error: "up[".',
        ),
        (
            error(422, "execution", "too many samples"),
            SourceRefused,
            "Prometheus could not evaluate the query: too many samples.",
        ),
        (error(503, "timeout", "query timed out"), SourceUnavailable, "Prometheus gave up on the query: query timed out."),
        (error(500, "internal", ""), SourceUnavailable, "Prometheus failed on the query."),
        (error(500, "unavailable", "TSDB not ready"), SourceUnavailable, "Prometheus failed on the query: TSDB not ready."),
        (error(418, "new_kind", "x"), SourceRefused, "Prometheus refuses the request (418)"),
        (httpx.Response(503, text="Service Unavailable"), SourceUnavailable, "Prometheus failed with status 503."),
        (httpx.Response(404, text="404 page not found"), SourceRefused, "path prefix in its URL is missing or wrong"),
        (httpx.Response(429, text="err-mimir-x"), SourceUnavailable, "Prometheus is asked too much at the moment (429)."),
        (httpx.Response(400, content=b"[" * 9999, headers={"Content-Type": "application/json"}), SourceRefused, "(400)"),
    ],
)
async def test_errors_say_what_prometheus_said(answer, kind, sentence):
    with pytest.raises(kind) as caught:
        await client(answer).query("x")
    assert sentence in str(caught.value)
    assert caught.value.status == answer.status_code


# -------------------------------------------------------------------------------------------------------- exemplars


def exemplar(labels: dict[str, str], at: float = 1790000000.5) -> dict[str, object]:
    return {"labels": labels, "value": "0.093", "timestamp": at}


async def test_exemplars_by_any_of_the_labels_in_any_case_with_ids_padded():
    rows = [
        {"seriesLabels": {"le": "1"}, "exemplars": [
            exemplar({"traceID": "abc"}, 1790000002), exemplar({"Trace_Id": "F" * 32, "span_id": "A1"}, 1790000001),
            exemplar({"TraceID": "not hex"}), exemplar({"other": "abc"}), exemplar({"trace_id": "0" * 32}),
            exemplar({"trace_id": "1" * 33}),
        ]},
    ]  # fmt: skip
    found = await client(data(rows)).query_exemplars("x", T0, T0 + SECOND)
    assert [(e.trace_id, e.span_id) for e in found.exemplars] == [("f" * 32, "00000000000000a1"), ("abc".zfill(32), "")]
    assert found.exemplars[0].value == 0.093
    assert found.exemplars[0].time_ns == T0 + SECOND
    assert found.exemplars[0].series == {"le": "1"}
    assert found.storage is True
    own = await client(
        data([{"seriesLabels": {}, "exemplars": [exemplar({"corr": "abc"})]}]), exemplar_labels=["Corr"]
    ).query_exemplars("x", T0, T0 + SECOND)
    assert len(own.exemplars) == 1


@pytest.mark.parametrize(
    ("flags", "storage"),
    [
        (data({"enable-feature": "exemplar-storage,native-histograms"}), True),
        (data({"enable-feature": ""}), False),
        (data({}), None),  # Mimir's empty stub
        (httpx.Response(404, text="404 page not found"), None),
    ],
)
@pytest.mark.parametrize("nothing", [data([]), httpx.Response(204)])
async def test_no_exemplars_and_no_storage_are_told_apart_where_the_flags_can_be_read(nothing, flags, storage):
    def handler(request: httpx.Request) -> httpx.Response:
        answer = flags if request.url.path.endswith("/status/flags") else nothing
        return httpx.Response(answer.status_code, content=answer.content, headers=answer.headers)

    found = await client(handler).query_exemplars("vector(1)", T0, T0 + SECOND)
    assert found.exemplars == ()
    assert found.storage is storage


# ------------------------------------------------------------------------------------------------- rules and alerts


async def test_rules_of_newer_servers_with_unknown_states_and_keys():
    groups = [
        {"name": "g", "file": "f", "interval": 15, "limit": 0, "novel": {}, "rules": [
            {"type": "alerting", "name": "A", "query": "up == 0", "duration": 300, "keepFiringFor": 60, "state": "unknown",
             "labels": {"v": "{{ $value }}"}, "annotations": {}, "alerts": [{"what": "ever"}], "health": "unknown",
             "lastEvaluation": "0001-01-01T00:00:00Z", "novel": 1},
            {"type": "recording", "name": "a:b", "query": "sum(up)", "health": "err", "lastError": "oops"},
        ]},
        {"name": "empty", "file": "f"},
    ]  # fmt: skip
    seen = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(dict(request.url.params))
        return data({"groups": groups, "groupNextToken:omitempty": ""})

    alerting, recording = await client(handler).rules()
    assert (alerting.kind, alerting.state, alerting.for_s, alerting.interval_s) == ("alerting", "unknown", 300, 15)
    assert alerting.labels == {"v": "{{ $value }}"}
    assert (recording.kind, recording.last_error, recording.group, recording.file) == ("recording", "oops", "g", "f")
    await client(handler).rules("alert")
    assert seen == [{"exclude_alerts": "true"}, {"exclude_alerts": "true", "type": "alert"}]


async def test_alerts_with_their_start_of_pending_value_and_state():
    rows = [
        {"labels": {"alertname": "A"}, "annotations": {"s": "x"}, "state": "firing", "value": "1e+00",
         "activeAt": "2026-09-21T14:13:20.123456789Z",
         "keepFiringSince": "2026-09-21T14:13:20Z"},
        {"labels": {"alertname": "B"}, "state": "pending", "activeAt": "2026-09-21T14:13:20Z", "value": "odd"},
    ]  # fmt: skip
    firing, pending = await client(data({"alerts": rows})).alerts()
    assert (firing.state, firing.started_ns, firing.value) == (AlertState.FIRING, T0 + 123_456_789, 1.0)
    assert (pending.state, pending.value, pending.annotations) == (AlertState.PENDING, None, {})
    assert firing.fingerprint != pending.fingerprint
    with pytest.raises(SourceUnreadable):
        await client(data({"alerts": [rows[0] | {"activeAt": "yesterday"}]})).alerts()


async def test_targets_that_were_never_scraped_have_no_time():
    rows = [
        {"labels": {"job": "a"}, "health": "down", "lastError": "refused", "lastScrape": "2026-09-21T14:13:20Z"},
        {"labels": {"job": "b"}, "health": "unknown", "lastScrape": "0001-01-01T00:00:00Z"},
    ]
    down, unknown = await client(data({"activeTargets": rows, "droppedTargets": []})).targets()
    assert (down.health, down.last_error, down.last_scrape_ns) == ("down", "refused", T0)
    assert unknown.last_scrape_ns == 0


async def test_mimir_is_known_by_its_own_name_and_readiness():
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/status/buildinfo"):
            return data({"version": "2.14.0", "application": "Grafana Mimir", "features": {}})
        return httpx.Response(404, text="404 page not found")

    one = client(handler, url="http://mimir/prometheus")
    assert (await one.build_info()).product == "Mimir"
    assert await one.ready()


async def test_label_values_of_a_name_that_prometheus_2_did_not_allow():
    seen = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return data(["200", "403"])

    found = await client(handler).label_values("http.status", ['up{a="b"}', "x"], start_ns=T0, end_ns=T0 + SECOND)
    assert found == ("200", "403")
    assert seen[0].url.path == "/api/v1/label/U__http_2e_status/values"
    assert seen[0].url.params.get_list("match[]") == ['up{a="b"}', "x"]
    assert seen[0].url.params["start"] == "1790000000.000"
    await client(handler).labels()
    assert seen[1].url.path == "/api/v1/labels"


# ---------------------------------------------------------------------------------------------------------- history


class History:
    """Answers the questions of a history: raw samples for whatever chunk is asked, and the evaluator's signs of life."""

    def __init__(
        self, samples: dict[str, list[int]], interval: int = 15, *, rules: bool = True, left_open: bool = False
    ) -> None:
        self.samples = samples  # alertstate: seconds after T0
        self.interval = interval
        self.rules = rules
        self.left_open = left_open
        self.queries: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        params = dict(request.url.params) or {k: v[0] for k, v in parse_qs(request.content.decode()).items()}
        if request.url.path.endswith("/rules"):
            if not self.rules:
                return httpx.Response(403, text="no")
            rule = {"type": "alerting", "name": "X", "query": "", "labels": {"value": "{{ $value }}"}}
            return data({"groups": [{"name": "g", "interval": self.interval, "rules": [rule]}]})
        self.queries.append(params["query"])
        if request.url.path.endswith("/query_range"):
            return data({"resultType": "matrix", "result": []})
        window = float(params["query"].rpartition("[")[2].removesuffix("ms]")) / 1000
        end = float(params["time"])
        rows = []
        for state, offsets in self.samples.items():
            times = [1_790_000_000 + offset for offset in offsets]
            first = end - window
            inside = [t for t in times if (t > first if self.left_open else t >= first) and t <= end]
            metric = {"__name__": "ALERTS", "alertname": "X", "alertstate": state, "value": "1"}
            if inside:
                rows.append({"metric": metric, "values": [[t, "1"] for t in inside]})
        return data({"resultType": "matrix", "result": rows})


@pytest.mark.parametrize("left_open", [False, True])
async def test_a_history_over_many_chunks_has_no_seam(left_open):
    """A range holds its first instant up to 2.x and no longer in 3.0."""
    day = 86_400
    prometheus = History({"firing": list(range(0, day + 1, 15))}, left_open=left_open)
    (history,) = await client(prometheus).alert_history("X", T0, T0 + day * SECOND)
    (stretch,) = history.intervals
    assert (stretch.start_ns, stretch.end_ns) == (T0, None)
    assert history.evaluation_s == 15
    assert len([q for q in prometheus.queries if q.startswith("{__name__")]) == 5


async def test_what_a_history_asks_for():
    prometheus = History({"firing": [0, 15, 30, 90, 105]})
    (history,) = await client(prometheus).alert_history(
        'X"}', T0, T0 + 300 * SECOND, labels={"user": 'a"b', "alertname": "ignored"}
    )
    assert prometheus.queries[0].startswith('{__name__=~"ALERTS|ALERTS_FOR_STATE", alertname="X\\"}", user="a\\"b"}[')
    assert "prometheus_rule_group_last_evaluation_timestamp_seconds" in prometheus.queries[1]
    assert prometheus.queries[2].startswith("count(count_over_time(up[")
    assert len(history.intervals) == 2


async def test_a_label_with_the_value_is_known_from_the_rule_and_not_needed():
    with_rule = await client(History({"firing": [0, 15, 30]})).alert_history("X", T0, T0 + 60 * SECOND)
    assert with_rule[0].labels == {"alertname": "X"}
    without = await client(History({"firing": [0, 15, 30, 45]}, rules=False)).alert_history("X", T0, T0 + 60 * SECOND)
    assert without[0].labels == {"alertname": "X", "value": "1"}
    assert without[0].evaluation_s == 15


async def test_no_samples_ask_nothing_further():
    prometheus = History({})
    assert await client(prometheus).alert_history("X", T0, T0 + SECOND) == ()
    assert len(prometheus.queries) == 1
    with pytest.raises(InvalidInput):
        await client(prometheus).alert_history("X", T0, T0)
