"""The Tempo client against what a real Tempo 3.0.3 answered, and against what other versions are known to answer."""

import base64
import json

import httpx2 as httpx
import pytest
from support.recorded_tempo import END_S, START_S, RecordedTempo, recorded, response

from app.errors import InvalidInput, NotFound, SourceRefused, SourceUnavailable, SourceUnreadable
from app.settings import TempoSettings
from app.sources.tempo import TempoClient, whole_seconds
from app.sources.values import BuildInfo, TagValue
from app.times import SECOND, UnixNanos

START, END = START_S * SECOND, END_S * SECOND
LATER = UnixNanos(END + 3600 * SECOND)
TRACE = "8" * 32


def client(transport: httpx.AsyncBaseTransport, **given: object) -> TempoClient:
    settings = TempoSettings.model_validate({"url": "http://tempo:3200", "attempts": 1} | given)
    return TempoClient(settings, transport=transport, clock=lambda: LATER)


def answering(*answers: httpx.Response) -> tuple[httpx.MockTransport, list[httpx.Request]]:
    """A transport that gives these answers in turn, the last one for ever; and the requests it got."""
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        given = answers[min(len(seen), len(answers)) - 1]
        return httpx.Response(given.status_code, content=given.content, headers=given.headers)

    return httpx.MockTransport(handler), seen


def json_answer(value: object, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=value)


def text_answer(text: str, status: int) -> httpx.Response:
    return httpx.Response(status, content=text.encode(), headers={"Content-Type": "text/plain; charset=utf-8"} if text else {})


# ------------------------------------------------------------------------------------------------------ trace by id


@pytest.mark.parametrize("version", ["trace-v1", "trace-v2"])
@pytest.mark.parametrize("trace_id", ["8" * 32, "1" * 32, "000000000000000000000000000000ab"])
async def test_a_recorded_trace_is_read_from_either_route(version, trace_id):
    recording = recorded(f"{version}/{trace_id}")
    if version == "trace-v1":
        transport, _ = answering(text_answer("404 page not found\n", 404), response(recording))
    else:
        transport, _ = answering(response(recording))
    trace, received = await client(transport, tenant="team-a").trace(trace_id)
    assert trace.trace_id == trace_id
    assert {node.span.trace_id for node in trace.nodes} == {trace_id}
    body = recording["json"]
    resource_spans = body["batches"] if version == "trace-v1" else body["trace"]["resourceSpans"]
    assert len(trace) == sum(len(s["spans"]) for r in resource_spans for s in r["scopeSpans"])
    assert json.loads(received.body) == body
    assert received.media_type == "application/json"
    assert received.url.startswith("http://tempo:3200/api/")
    assert received.tenant == "team-a"
    assert not received.partial


async def test_the_second_route_is_asked_first_and_without_a_time_range():
    transport = RecordedTempo()
    await client(transport).trace_bytes(TRACE)
    assert [str(r.url) for r in transport.requests] == [f"http://tempo:3200/api/v2/traces/{TRACE}"]
    assert transport.requests[0].headers["Accept"] == "application/json"


async def test_short_and_upper_case_ids_are_padded_before_they_are_sent():
    transport = RecordedTempo()
    trace, received = await client(transport).trace(" AB ")
    assert received.trace_id == trace.trace_id == "ab".zfill(32)
    assert transport.requests[0].url.path == "/api/v2/traces/" + "ab".zfill(32)


@pytest.mark.parametrize("text", ["", "not-hex", "1" * 33, "0" * 32, "0x1f", "../status", "１２", "ab\ncd"])
async def test_what_is_no_trace_id_is_not_sent(text):
    transport = RecordedTempo()
    with pytest.raises(InvalidInput):
        await client(transport).trace_bytes(text)
    assert transport.requests == []


async def test_protobuf_is_read_where_it_is_sent():
    recording = recorded(f"trace-v2-pb/{TRACE}")
    transport, _ = answering(response(recording))
    trace, received = await client(transport).trace(TRACE)
    assert trace.trace_id == TRACE
    assert received.media_type == "application/protobuf"
    assert received.body == base64.b64decode(recording["base64"])


@pytest.mark.parametrize(
    "answers",
    [
        [response(recorded("trace-v2/abcdefabcdefabcdefabcdefabcdefab"))],  # 3.0.3: 200 {"trace":{},"metrics":{}}
        [json_answer({"trace": {}})],  # 2.6
        [text_answer("404 page not found\n", 404), response(recorded("trace-v1/abcdefabcdefabcdefabcdefabcdefab"))],
        [text_answer("trace not found", 404), text_answer("trace not found", 404)],  # a gateway's own words
    ],
)
async def test_an_absent_trace_is_not_found(answers):
    transport, seen = answering(*answers)
    with pytest.raises(NotFound, match="Tempo holds no trace abcdef"):
        await client(transport).trace("abcdefabcdefabcdefabcdefabcdefab")
    assert len(seen) == len(answers)


@pytest.mark.parametrize("wrong", [text_answer("404 page not found\n", 404), httpx.Response(404, html="<h1>404</h1>")])
async def test_a_missing_route_is_not_a_missing_trace(wrong):
    transport, seen = answering(wrong)
    with pytest.raises(SourceRefused, match="path prefix"):
        await client(transport).trace(TRACE)
    assert [r.url.path for r in seen] == [f"/api/v2/traces/{TRACE}", f"/api/traces/{TRACE}"]


async def test_a_partial_trace_says_so_in_tempos_words():
    body = recorded(f"trace-v2/{TRACE}")["json"] | {
        "status": "PARTIAL",
        "message": "Trace exceeds maximum size of 5000000 bytes, a partial trace is returned",
    }
    transport, _ = answering(json_answer(body))
    trace, received = await client(transport).trace(TRACE)
    assert received.partial
    assert received.note.startswith("Trace exceeds maximum size")
    assert trace.partial
    assert trace.partial_note == received.note


@pytest.mark.parametrize("status", [422, 500])
async def test_a_trace_too_large_is_explained(status):
    transport, seen = answering(text_answer(f"trace {TRACE} exceeds max size (max bytes: 5000000)", status))
    with pytest.raises(SourceRefused) as caught:
        await client(transport, attempts=3).trace(TRACE)
    assert str(caught.value) == "The trace is larger than Tempo returns (its max_bytes_per_trace)."
    assert "5000000" in caught.value.detail
    assert len(seen) == 1


async def test_json_that_is_no_trace_is_unreadable():
    transport, _ = answering(json_answer({"hello": "world"}))
    with pytest.raises(SourceUnreadable, match="not a trace"):
        await client(transport).trace(TRACE)


async def test_a_large_trace_is_read_whole():
    span = {"traceId": TRACE, "name": "x" * 400, "startTimeUnixNano": "1", "endTimeUnixNano": "2"}
    spans = [span | {"spanId": f"{n:016x}"} for n in range(1, 4001)]
    transport, _ = answering(json_answer({"trace": {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}}))
    trace, received = await client(transport).trace(TRACE)
    assert len(received.body) > 1_000_000
    assert len(trace) == 4000


# ----------------------------------------------------------------------------------------------------------- search


def recorded_searches() -> list[str]:
    from support.recorded_tempo import ANSWERS

    return sorted(path.stem for path in (ANSWERS / "search").glob("*.json"))


@pytest.mark.parametrize("name", recorded_searches())
async def test_every_recorded_search_is_read_without_loss(name):
    recording = recorded(f"search/{name}")
    transport, _ = answering(response(recording))
    params = recording["params"]
    result = await client(transport).search("{}", params["start"] * SECOND, params["end"] * SECOND, limit=1000)
    sent = {trace["traceID"].zfill(32): trace for trace in recording["json"]["traces"]}
    assert {trace.trace_id for trace in result.traces} == set(sent)
    for trace in result.traces:
        wire = sent[trace.trace_id]
        assert trace.start_ns == int(wire["startTimeUnixNano"])
        assert trace.duration_ns == wire.get("durationMs", 0) * 1_000_000
        assert trace.span_count == sum(s.get("spanCount", 0) for s in wire.get("serviceStats", {}).values())
        assert trace.error_count == sum(s.get("errorCount", 0) for s in wire.get("serviceStats", {}).values())
        assert trace.matched == sum(s["matched"] for s in wire.get("spanSets", []))
        spans = {span["spanID"] for group in wire.get("spanSets", []) for span in group["spans"]}
        assert {span.span_id for span in trace.spans} == spans
    starts = [trace.start_ns for trace in result.traces]
    assert starts == sorted(starts, reverse=True)
    assert result.incomplete is (name == "limit-5")
    assert not result.limited


async def test_what_is_sent_with_a_search():
    transport = RecordedTempo()
    await client(transport).search("{}", START + 1, END - 1, limit=1000, spans_per_set=500)
    params = dict(transport.requests[0].url.params)
    assert params == {"q": "{}", "start": str(START_S), "end": str(END_S), "limit": "1000", "spss": "100"}
    await client(transport).search("{}", START, END, spans_per_set=0)
    assert dict(transport.requests[1].url.params)["spss"] == "1"
    assert dict(transport.requests[1].url.params)["limit"] == "500"


async def test_selected_attributes_and_what_by_computed_come_with_the_spans():
    transport, _ = answering(response(recorded("search/count-by")))
    result = await client(transport).search("q", START, END)
    attributes = [span.attributes for trace in result.traces for span in trace.spans]
    assert {a["by(span.auth.failure_reason)"] for a in attributes} >= {"nil", "invalid_credentials"}
    assert all(isinstance(a["count()"], int) for a in attributes)
    transport, _ = answering(response(recorded("search/select")))
    first = (await client(transport).search("q", START, END)).traces[0].spans[0]
    assert first.attributes["auth.failure_reason"] == "invalid_credentials"
    assert first.attributes["status"] == "error"
    assert first.name == "auth.login"


def hit(trace_id: str, start_s: float, duration_ms: int = 10, **more: object) -> dict[str, object]:
    return {"traceID": trace_id, "startTimeUnixNano": str(int(start_s * SECOND)), "durationMs": duration_ms} | more


async def test_hits_outside_the_window_are_left_out():
    """Asked for the last ten seconds, Tempo 3 has answered with a trace 70 seconds old."""
    hits = [
        hit("1", START_S - 70),
        hit("2", START_S - 5, 10_000),
        hit("3", START_S + 5),
        hit("4", END_S + 70),
        hit("5", START_S - 70, spanSets=[{"matched": 1, "spans": [{"spanID": "a", "startTimeUnixNano": str(START + 1)}]}]),
    ]
    transport, _ = answering(json_answer({"traces": hits}))
    result = await client(transport).search("{}", START, END)
    assert [int(trace.trace_id, 16) for trace in result.traces] == [3, 2, 5]


async def test_an_answer_as_long_as_the_limit_is_limited_and_not_incomplete():
    transport, _ = answering(response(recorded("search/limit-5")))
    result = await client(transport).search("{}", START, END, limit=5)
    assert result.limited
    assert not result.incomplete
    assert len(result.traces) == 5


async def test_a_search_that_stopped_early_is_incomplete_even_with_nothing_found():
    transport, _ = answering(json_answer({"traces": [], "metrics": {"completedJobs": 1, "totalJobs": 3}}))
    result = await client(transport).search("{}", START, END)
    assert result.traces == ()
    assert result.incomplete
    assert result.note == "Tempo finished 1 of 3 parts of the search."


async def test_an_answer_without_the_key_traces_is_empty():
    for body in ({}, {"traces": None}, {"metrics": {"totalBlocks": 1}}):
        transport, _ = answering(json_answer(body))
        result = await client(transport).search("{}", START, END)
        assert (result.traces, result.limited, result.incomplete) == ((), False, False)


async def test_quirks_of_single_hits():
    hits = [
        hit("abcdef0123456789", START_S + 1, rootServiceName="<root span not yet received>"),
        {"traceID": "zz", "startTimeUnixNano": str(START)},
        {"traceID": "7", "startTimeUnixNano": str(START + SECOND), "spanSet": {"spans": [{"spanID": "A1"}], "matched": 9}},
    ]  # fmt: skip
    transport, _ = answering(json_answer({"traces": hits}))
    result = await client(transport).search("{}", START, END)
    by_id = {trace.trace_id.lstrip("0"): trace for trace in result.traces}
    assert set(by_id) == {"abcdef0123456789", "7"}
    assert by_id["abcdef0123456789"].root_service == ""
    assert by_id["7"].matched == 9
    assert by_id["7"].spans[0].span_id == "00000000000000a1"
    assert result.incomplete
    assert result.note == "1 of Tempo's hits had no readable trace id."


async def test_attribute_values_of_every_type_become_plain_ones():
    values = [
        ({"stringValue": "<script>"}, "<script>"), ({"intValue": "9007199254740993"}, 9007199254740993),
        ({"intValue": 3}, 3), ({"boolValue": False}, False), ({"doubleValue": 0.5}, 0.5),
        ({"arrayValue": {"values": [{"intValue": "1"}]}}, '{"values": [{"intValue": "1"}]}'), ({}, ""),
    ]  # fmt: skip
    attributes = [{"key": str(n), "value": wire} for n, (wire, _) in enumerate(values)]
    spans = [{"spanID": "1", "startTimeUnixNano": str(START), "attributes": attributes}]
    body = json.dumps({"traces": [hit("1", START_S, spanSets=[{"matched": 1, "spans": spans}])]})
    transport, _ = answering(httpx.Response(200, content=body, headers={"Content-Type": "application/json"}))
    result = await client(transport).search("{}", START, END)
    found = result.traces[0].spans[0].attributes
    assert [found[str(n)] for n in range(len(values))] == [plain for _, plain in values]
    assert found["3"] is False


async def test_a_range_longer_than_tempo_searches_is_asked_for_in_pieces():
    day = 86_400
    transport, seen = answering(
        json_answer({"traces": [hit("1", END_S - 10), hit("2", END_S - 7 * day, 20_000)]}),
        json_answer({"traces": [hit("2", END_S - 7 * day, 20_000), hit("3", END_S - 8 * day)]}),
    )
    result = await client(transport).search("{}", END - 10 * day * SECOND, END)
    ranges = [(int(r.url.params["start"]), int(r.url.params["end"])) for r in seen]
    assert ranges == [(END_S - 7 * day, END_S), (END_S - 10 * day, END_S - 7 * day)]
    assert [int(trace.trace_id, 16) for trace in result.traces] == [1, 2, 3]
    assert not result.limited


async def test_pieces_stop_at_the_limit():
    transport, seen = answering(json_answer({"traces": [hit("1", END_S - 1), hit("2", END_S - 2)]}))
    result = await client(transport).search("{}", END - 30 * 86_400 * SECOND, END, limit=2)
    assert len(seen) == 1
    assert result.limited


async def test_tempos_own_tighter_limit_is_learned_from_its_refusal():
    refused = "range specified by start and end (48h0m0s) exceeds 24h0m0s. received start=1 end=2"
    day = 86_400
    transport, seen = answering(text_answer(refused, 400), json_answer({"traces": []}))
    tempo = client(transport)
    await tempo.search("{}", END - 2 * day * SECOND, END)
    ranges = [int(r.url.params["end"]) - int(r.url.params["start"]) for r in seen]
    assert ranges == [2 * day, day, day]
    await tempo.search("{}", END - 2 * day * SECOND, END)
    assert [int(r.url.params["end"]) - int(r.url.params["start"]) for r in seen[3:]] == [day, day]
    assert tempo.health.failing_since_ns is None


async def test_a_piece_that_fails_after_others_answered_leaves_an_incomplete_result():
    transport, _ = answering(json_answer({"traces": [hit("1", END_S - 1)]}), text_answer("no", 503))
    result = await client(transport).search("{}", END - 14 * 86_400 * SECOND, END)
    assert len(result.traces) == 1
    assert result.incomplete
    assert result.note.startswith("Only the newest part of the range was searched: Tempo gave up on the search (503)")


@pytest.mark.parametrize(
    "name", ["bad-regex", "empty-parens", "not-traceql", "type-mismatch", "unknown-intrinsic", "unterminated"]
)
@pytest.mark.parametrize("status", [400, 500])
async def test_a_bad_query_is_refused_in_tempos_words_whatever_its_status(name, status):
    """2.6 answers 500 where 3.0 answers 400; neither is a failing Tempo, nor worth a second try."""
    transport, seen = answering(response(recorded(f"bad-search/{name}") | {"status": status}))
    tempo = client(transport, attempts=3)
    with pytest.raises(SourceRefused) as caught:
        await tempo.search("{", START, END)
    words = recorded(f"bad-search/{name}")["text"].removeprefix("invalid TraceQL query: ")
    assert str(caught.value) == f"Tempo does not accept the query: {words}."
    assert len(seen) == 1
    assert tempo.health.failing_since_ns is None


@pytest.mark.parametrize(("status", "tries"), [(429, 3), (502, 3), (503, 3), (504, 3), (400, 1), (422, 1), (500, 1)])
async def test_which_answers_are_asked_again(status, tries):
    transport, seen = answering(text_answer("no", status))
    with pytest.raises((SourceUnavailable, SourceRefused)):
        await client(transport, attempts=3).search("{}", START, END)
    assert len(seen) == tries


@pytest.mark.parametrize(("start", "end"), [(END, START), (START, START), (-1, END)])
async def test_an_empty_window_is_the_callers_mistake(start, end):
    with pytest.raises(InvalidInput):
        await client(RecordedTempo()).search("{}", start, end)


def test_windows_are_widened_to_whole_seconds():
    assert whole_seconds(1, 2) == (0, 1)
    assert whole_seconds(5 * SECOND, 6 * SECOND) == (5, 6)
    assert whole_seconds(5 * SECOND + 1, 6 * SECOND + 1) == (5, 7)


async def test_the_last_seconds_are_told_where_tempo_does_not_search_them():
    transport, _ = answering(json_answer({"traces": []}))
    late = int(LATER)
    assert (await client(transport).search("{}", START, late)).note == "Tempo may not search the last 30 s yet."
    assert (await client(transport).search("{}", START, late - 30 * SECOND)).note == ""
    assert (await client(transport, search_cutoff_s=0).search("{}", START, late)).note == ""


# ------------------------------------------------------------------------------------------------------------- tags


async def test_tag_names_come_by_scope():
    transport = RecordedTempo()
    names = await client(transport).tag_names()
    wire = {s["name"]: s["tags"] for s in recorded("tags-api-v2-search-tags")["json"]["scopes"]}
    assert {scope: list(tags) for scope, tags in names.items()} == wire
    transport, seen = answering(response(recorded("tags-span")))
    names = await client(transport).tag_names("span", start_ns=START, end_ns=END)
    assert set(names) == {"span"}
    assert "spaced key" in names["span"]
    assert dict(seen[0].url.params) == {"scope": "span", "start": str(START_S), "end": str(END_S)}


@pytest.mark.parametrize(
    ("tag", "values"),
    [
        ("kind", {("keyword", v) for v in ("client", "server", "producer", "consumer", "internal", "unspecified")}),
        ("span.http.response.status_code", {("int", "401"), ("int", "200"), ("int", "403")}),
        ("span.no.such.tag", set()),
    ],
)
async def test_tag_values_keep_their_type(tag, values):
    found = await client(RecordedTempo()).tag_values(tag)
    assert set(found) == {TagValue(kind, value) for kind, value in values}


async def test_tags_with_special_characters_stand_percent_encoded_in_the_path():
    transport, seen = answering(json_answer({"tagValues": []}))
    await client(transport).tag_values('span."with space/é"', '{ span.a = "b" }')
    assert seen[0].url.raw_path.startswith(b"/api/v2/search/tag/span.%22with%20space%2F%C3%A9%22/values?q=")


# ---------------------------------------------------------------------------------------------------------- metrics


async def test_a_recorded_range_query_has_typed_labels_as_text_and_zeros_where_the_value_is_absent():
    transport = RecordedTempo()
    q = recorded("metrics-range/by-int")["params"]["q"]
    result = await client(transport).metrics_range(q, START, END, 60)
    assert dict(transport.requests[0].url.params) == {"q": q, "start": str(START_S), "end": str(END_S), "step": "60s"}
    assert [series.labels for series in result.series] == [{"span.http.response.status_code": c} for c in ("200", "401", "403")]
    samples = result.series[0].samples
    wire = recorded("metrics-range/by-int")["json"]["series"][0]["samples"]
    assert [(s.time_ns, s.value) for s in samples] == [(int(w["timestampMs"]) * 10**6, w.get("value", 0)) for w in wire]
    assert samples[0].value == 0
    assert result.warnings == ()


async def test_recorded_instant_queries():
    q = recorded("metrics-instant/count-all")["params"]["q"]
    result = await client(RecordedTempo()).metrics_instant(q, START, END)
    assert [(s.labels, s.samples[0].value, s.samples[0].time_ns) for s in result.series] == [
        ({"__name__": "count_over_time"}, 142, END)
    ]


async def test_quirks_of_metrics():
    labels = [
        {"key": "span.x", "value": {"stringValue": "nil"}},
        {"key": "p", "value": {"doubleValue": 0.99}},
        {"key": "b", "value": {"boolValue": True}},
    ]
    samples = [
        {"timestampMs": str((START_S + 60) * 1000), "value": "NaN"},
        {"timestampMs": str((START_S - 60) * 1000), "value": 5},
        {"timestampMs": str(START_S * 1000), "value": 0.134217728},
    ]
    series = [{"labels": labels, "samples": samples}]
    body = {"series": series, "status": "PARTIAL", "message": "max series reached"}
    transport, _ = answering(json_answer(body))
    result = await client(transport).metrics_range("{} | rate()", START, END, 60)
    assert result.series[0].labels == {"span.x": "nil", "p": "0.99", "b": "true"}
    times = [sample.time_ns for sample in result.series[0].samples]
    assert times == [START, START + 60 * SECOND]
    assert result.series[0].samples[0].value == 0.134217728
    assert result.series[0].samples[1].value != result.series[0].samples[1].value
    assert result.warnings == ("max series reached",)
    transport, _ = answering(json_answer({}))
    assert (await client(transport).metrics_range("{} | rate()", START, END, 60)).series == ()


async def test_a_metrics_range_that_tempo_refuses_is_asked_for_in_pieces_and_joined():
    def handler(request: httpx.Request) -> httpx.Response:
        start, end = int(request.url.params["start"]), int(request.url.params["end"])
        if end - start > 600:
            return text_answer("range specified by start and end (30m0s) exceeds 10m0s. received start=1 end=2", 400)
        # As 3.0 does: a leading bucket at the start that has seen nothing, each other full.
        samples = [{"timestampMs": str(t * 1000), **({"value": 2} if t > start else {})} for t in range(start, end + 1, 60)]
        return json_answer({"series": [{"labels": [{"key": "a", "value": {"intValue": "1"}}], "samples": samples}]})

    tempo = client(httpx.MockTransport(handler))
    result = await tempo.metrics_range("{} | count_over_time() by (a)", START, END, 60)
    assert len(result.series) == 1
    samples = result.series[0].samples
    assert [s.time_ns for s in samples] == [t * SECOND for t in range(START_S, END_S + 1, 60)]
    assert [s.value for s in samples] == [0] + [2] * 30


async def test_metrics_that_cannot_be_had_are_explained():
    cases = {
        ("range specified by start and end (30h) exceeds 3h0m0s.", 400): "Tempo answers ranges of at most 3 h",
        ("localblocks processor not found", 500): "its local-blocks processor is off",
        ("not a metrics query", 400): "Tempo refuses the request (400): not a metrics query.",
    }
    for (words, status), sentence in cases.items():
        transport, _ = answering(text_answer(words, status))
        with pytest.raises(SourceRefused) as caught:
            await client(transport).metrics_instant("{}", START, END)
        assert sentence in str(caught.value)
    with pytest.raises(InvalidInput):
        await client(RecordedTempo()).metrics_range("{} | rate()", 0, 10**15 * 100, 1)


# ----------------------------------------------------------------------------------------------------------- status


async def test_status_of_a_real_tempo():
    tempo = client(RecordedTempo())
    assert await tempo.ready()
    assert await tempo.echo()
    assert await tempo.build_info() == BuildInfo("Tempo", "", "")


async def test_a_tempo_that_is_starting_is_not_ready_and_one_behind_a_gateway_is_known_by_its_echo():
    transport, _ = answering(text_answer("Ingester not ready: waiting for 15s after being ready", 503))
    assert not await client(transport).ready()
    transport, seen = answering(text_answer("404 page not found\n", 404), text_answer("echo\n", 200))
    assert await client(transport).ready()
    assert [r.url.path for r in seen] == ["/ready", "/api/echo"]


async def test_the_tenant_that_is_asked_for():
    transport, _ = answering(text_answer("no org id\n", 401))
    with pytest.raises(SourceRefused, match="asks which tenant"):
        await client(transport).search("{}", START, END)
