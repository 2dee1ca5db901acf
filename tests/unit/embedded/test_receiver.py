"""OTLP over HTTP: what is taken, what is refused and in which words."""

import gzip
import json
import tracemalloc
import zlib
from concurrent.futures import Future

import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
from support import tempo_dataset

from app.embedded import receiver
from app.embedded.receiver import MAX_INFLATED, Refused, read_body
from app.embedded.store import StoreError

JSON, PROTOBUF = "application/json", "application/x-protobuf"


def export(*spans):
    """An export request in JSON; spans are (trace id, span id)."""
    made = [
        {"traceId": trace, "spanId": span, "name": "n", "startTimeUnixNano": "1000", "endTimeUnixNano": "2000"}
        for trace, span in spans
    ]
    return {"resourceSpans": [{"scopeSpans": [{"spans": made}]}]}


GOOD = export(("ab" * 16, "cd" * 8))


async def post(backend, body, media_type=JSON, **headers):
    if isinstance(body, dict):
        body = json.dumps(body).encode()
    return await backend.otlp_client.post("/v1/traces", content=body, headers={"content-type": media_type, **headers})


async def stored(backend):
    answer = await backend.query_client.get("/api/search", params={"q": "{ }", "limit": 1000})
    return {trace["traceID"] for trace in answer.json()["traces"]}


async def test_json_is_taken_and_found(backend):
    answer = await post(backend, GOOD)
    assert (answer.status_code, answer.json()) == (200, {"partialSuccess": {}})
    assert await stored(backend) == {"ab" * 16}
    assert backend.receiver.accepted == 1


async def test_protobuf_is_taken_and_answered_in_protobuf(backend):
    message = service.ExportTraceServiceRequest()
    span = message.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = b"\x01" * 16, b"\x02" * 8, "n"
    answer = await post(backend, message.SerializeToString(), PROTOBUF)
    assert answer.headers["content-type"] == PROTOBUF
    assert not service.ExportTraceServiceResponse.FromString(answer.content).HasField("partial_success")
    assert await stored(backend) == {("01" * 16).lstrip("0")}


@pytest.mark.parametrize("body", [b"", b"{}", b" {} "])
async def test_an_export_of_nothing_is_fine(backend, body):
    assert (await post(backend, body)).json() == {"partialSuccess": {}}


@pytest.mark.parametrize("groups", [0, 1])
async def test_resources_without_spans_are_an_export_of_nothing(backend, groups):
    message = service.ExportTraceServiceRequest()
    batch = message.resource_spans.add()
    batch.resource.attributes.add(key="service.name").value.string_value = "quiet"
    for _ in range(groups):
        batch.scope_spans.add()
    answer = await post(backend, message.SerializeToString(), PROTOBUF)
    assert (answer.status_code, answer.content) == (200, b"")
    in_json = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": []}] * groups}]}
    assert (await post(backend, in_json)).json() == {"partialSuccess": {}}


async def test_spans_without_valid_ids_are_refused_and_the_others_kept(backend):
    mixed = export(("ab" * 16, "cd" * 8), ("ab" * 16, "00" * 8), ("", "cd" * 8), ("zz" * 16, "cd" * 8))
    answer = await post(backend, mixed)
    assert answer.json() == {
        "partialSuccess": {"rejectedSpans": "3", "errorMessage": "3 spans have no valid trace id or span id."}
    }
    assert await stored(backend) == {"ab" * 16}
    assert (backend.receiver.accepted, backend.receiver.refused) == (1, 3)


async def test_partial_success_in_protobuf(backend):
    message = service.ExportTraceServiceRequest()
    spans = message.resource_spans.add().scope_spans.add().spans
    spans.add(trace_id=b"\x01" * 16, span_id=b"\x02" * 8)
    spans.add(trace_id=b"\x01" * 16)
    answer = await post(backend, message.SerializeToString(), PROTOBUF)
    partial = service.ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (partial.rejected_spans, partial.error_message) == (1, "1 span has no valid trace id or span id.")


@pytest.mark.parametrize(
    "body", [b"not json", b"[1,2]", b'{"resourceSpans": 5}', b'{"resourceSpans":[' + b"[" * 100_000, b"\xff\xfe", b'{"a":1}']
)
async def test_garbage_in_json_is_400_with_a_status_in_json(backend, body):
    answer = await post(backend, body)
    assert answer.status_code == 400
    assert answer.json()["code"] == 3
    assert "not a trace" in answer.json()["message"]


async def test_garbage_in_protobuf_is_400_with_a_status_in_protobuf(backend):
    answer = await post(backend, b"\xff\xff\xff\xff garbage", PROTOBUF)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == PROTOBUF
    assert answer.content.startswith(b"\x08\x03\x12")  # google.rpc.Status: code 3, then a message
    assert b"not a trace" in answer.content


@pytest.mark.parametrize("media_type", ["text/plain", "", "application/x-www-form-urlencoded"])
async def test_other_media_types_are_415(backend, media_type):
    assert (await post(backend, GOOD, media_type)).status_code == 415


async def test_other_methods_and_paths(backend):
    assert (await backend.otlp_client.get("/v1/traces")).status_code == 405
    answer = await backend.otlp_client.post("/v1/logs", content=b"")
    assert (answer.status_code, answer.text) == (404, "404 page not found\n")


class TestGzip:
    async def test_is_inflated(self, backend):
        body = gzip.compress(json.dumps(GOOD).encode())
        assert (await post(backend, body, **{"content-encoding": "gzip"})).status_code == 200
        assert await stored(backend) == {"ab" * 16}

    async def test_joined_members_are_one_body(self):
        raw = json.dumps(GOOD).encode()
        assert await read_body(pieces(gzip.compress(raw[:20]) + gzip.compress(raw[20:])), "gzip") == raw

    async def test_fed_byte_by_byte(self):
        raw = json.dumps(GOOD).encode()
        assert await read_body(pieces(gzip.compress(raw), size=1), "gzip") == raw

    async def test_broken(self, backend):
        answer = await post(backend, b"this is not gzip", **{"content-encoding": "gzip"})
        assert (answer.status_code, answer.json()["message"]) == (400, "The body is not gzip.")

    async def test_cut_off(self, backend):
        body = gzip.compress(json.dumps(GOOD).encode())[:-9]
        answer = await post(backend, body, **{"content-encoding": "gzip"})
        assert (answer.status_code, answer.json()["message"]) == (400, "The gzip body is cut off.")

    async def test_a_bomb_stops_early_and_stays_small(self, backend):
        bomb = compressed_zeros(200)  # 200 MiB in a fifth of one
        tracemalloc.start()
        try:
            answer = await post(backend, bomb, **{"content-encoding": "gzip"})
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert answer.status_code == 413
        assert answer.json()["code"] == 8
        assert peak < 3 * MAX_INFLATED

    async def test_a_small_bomb_is_stopped_by_its_ratio(self):
        with pytest.raises(Refused, match="times its size"):
            await read_body(pieces(compressed_zeros(20)), "gzip")

    async def test_a_bomb_of_many_members(self):
        with pytest.raises(Refused, match="inflates to more"):
            await read_body(pieces(gzip.compress(b"\x00" * 2**20) * 100), "gzip")

    async def test_other_encodings(self, backend):
        assert (await post(backend, GOOD, **{"content-encoding": "br"})).status_code == 415


async def test_a_body_too_large_is_413_before_it_is_all_read(monkeypatch):
    monkeypatch.setattr(receiver, "MAX_BODY", 1_000)
    read = []

    async def endless():
        while True:
            read.append(100)
            yield b"x" * 100

    with pytest.raises(Refused) as caught:
        await read_body(endless(), "")
    assert caught.value.status == 413
    assert sum(read) < 1_200


async def test_a_store_that_cannot_write_asks_the_sender_to_try_again(backend, monkeypatch):
    failed = Future()
    failed.set_exception(StoreError("The span store cannot be written: disk full."))
    monkeypatch.setattr(backend.store, "append", lambda spans: failed)
    answer = await post(backend, GOOD)
    assert answer.status_code == 503
    assert answer.json() == {"code": 14, "message": "The span store cannot be written: disk full."}
    assert answer.headers["retry-after"] == "30"
    assert backend.receiver.refused == 1


async def test_a_store_that_is_behind_asks_for_patience(backend, monkeypatch):
    monkeypatch.setattr(receiver, "MAX_WAITING", -1)
    answer = await post(backend, GOOD)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_the_whole_data_set_comes_back_span_by_span(backend):
    for request in tempo_dataset.requests()[:60]:
        assert (await post(backend, request)).status_code == 200
    expected = {}
    from app.traces.otlp import decode

    for request in tempo_dataset.requests()[:60]:
        for span in decode(request, JSON).spans:
            expected.setdefault(span.trace_id, []).append(span)
    for trace_id, spans in expected.items():
        for accept in (JSON, "application/protobuf"):
            answer = await backend.query_client.get(f"/api/v2/traces/{trace_id}", headers={"accept": accept})
            found = decode(answer.content, answer.headers["content-type"]).spans
            assert sorted(map(repr, found)) == sorted(map(repr, spans))


async def pieces(body, size=65_536):
    for start in range(0, len(body), size):
        yield body[start : start + size]


def compressed_zeros(mib):
    packer = zlib.compressobj(9, wbits=31)
    block = b"\x00" * 2**20
    return b"".join(packer.compress(block) for _ in range(mib)) + packer.flush()
