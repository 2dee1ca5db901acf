"""Every encoding of one trace reads the same; what is no trace is one clear sentence."""

import base64
import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1 import trace_pb2

from app.errors import NotATrace
from app.traces.model import Span, SpanKind, Status
from app.traces.otlp import decode, encode_json, hex_id

TRACE = "0123456789abcdef0123456789abcdef"
ROOT, CHILD = "00000000000000a1", "fedcba9876543210"


def b64(hex_text: str) -> str:
    return base64.b64encode(bytes.fromhex(hex_text)).decode()


def otlp(**root) -> dict:
    """Two spans in OTLP/JSON: `root` overrides fields of the first."""
    spans = [
        {
            "traceId": TRACE,
            "spanId": ROOT,
            "name": "POST /login",
            "kind": 2,
            "startTimeUnixNano": "1789999200000000001",
            "endTimeUnixNano": "1789999200060000000",
            "attributes": [
                {"key": "text", "value": {"stringValue": "ä"}},
                {"key": "empty", "value": {"stringValue": ""}},
                {"key": "zero", "value": {"intValue": "0"}},
                {"key": "big", "value": {"intValue": "9007199254740993"}},
                {"key": "no", "value": {"boolValue": False}},
                {"key": "half", "value": {"doubleValue": 0.5}},
                {"key": "nan", "value": {"doubleValue": "NaN"}},
                {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "x"}, {"intValue": "2"}]}}},
                {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": True}}]}}},
                {"key": "bytes", "value": {"bytesValue": base64.b64encode(b"\x00\xff").decode()}},
                {"key": "nothing", "value": {}},
            ],
            "status": {"code": 2, "message": "boom"},
            **root,
        },
        {
            "traceId": TRACE,
            "spanId": CHILD,
            "parentSpanId": ROOT,
            "name": "auth.login",
            "kind": 1,
            "startTimeUnixNano": "1789999200010000000",
            "endTimeUnixNano": "1789999200050000000",
            "events": [
                {
                    "timeUnixNano": "1789999200020000000",
                    "name": "exception",
                    "attributes": [{"key": "exception.type", "value": {"stringValue": "E"}}],
                }
            ],
            "links": [{"traceId": "f" * 32, "spanId": "1" * 16}],
            "droppedAttributesCount": 3,
        },
    ]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "identity"}}]}
    scope = {"scope": {"name": "lib", "version": "1"}, "spans": spans}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}


def tempo(document: dict) -> dict:
    """The same in Tempo's proto-JSON: base64 ids, enum names, zero values left out."""
    kinds = {1: "SPAN_KIND_INTERNAL", 2: "SPAN_KIND_SERVER"}
    out = json.loads(json.dumps(document))
    for span in out["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for key in ("traceId", "spanId", "parentSpanId"):
            if key in span:
                span[key] = b64(span[key])
        for link in span.get("links", []):
            link["traceId"], link["spanId"] = b64(link["traceId"]), b64(link["spanId"])
        span["kind"] = kinds[span["kind"]]
        if "status" in span:
            span["status"] = {"code": "STATUS_CODE_ERROR", "message": "boom"}
    return out


def protobuf(document: dict) -> bytes:
    data = trace_pb2.TracesData()
    batch = data.resource_spans.add()
    batch.resource.attributes.add(key="service.name").value.string_value = "identity"
    scope = batch.scope_spans.add()
    scope.scope.name, scope.scope.version = "lib", "1"
    for s in document["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        span = scope.spans.add(
            trace_id=bytes.fromhex(s["traceId"]),
            span_id=bytes.fromhex(s["spanId"]),
            parent_span_id=bytes.fromhex(s.get("parentSpanId", "")),
            name=s["name"],
            kind=s["kind"],
            start_time_unix_nano=int(s["startTimeUnixNano"]),
            end_time_unix_nano=int(s["endTimeUnixNano"]),
            dropped_attributes_count=s.get("droppedAttributesCount", 0),
        )
        for pair in s.get("attributes", []):
            fill(span.attributes.add(key=pair["key"]).value, pair["value"])
        for e in s.get("events", []):
            event = span.events.add(name=e["name"], time_unix_nano=int(e["timeUnixNano"]))
            for pair in e["attributes"]:
                fill(event.attributes.add(key=pair["key"]).value, pair["value"])
        for k in s.get("links", []):
            span.links.add(trace_id=bytes.fromhex(k["traceId"]), span_id=bytes.fromhex(k["spanId"]))
        if "status" in s:
            span.status.code, span.status.message = s["status"]["code"], s["status"]["message"]
    return data.SerializeToString()


def fill(value, given: dict) -> None:
    for kind, content in given.items():
        if kind == "arrayValue":
            value.array_value.SetInParent()
            for item in content["values"]:
                fill(value.array_value.values.add(), item)
        elif kind == "kvlistValue":
            value.kvlist_value.SetInParent()
            for pair in content["values"]:
                fill(value.kvlist_value.values.add(key=pair["key"]).value, pair["value"])
        elif kind == "stringValue":
            value.string_value = content
        elif kind == "intValue":
            value.int_value = int(content)
        elif kind == "boolValue":
            value.bool_value = content
        elif kind == "doubleValue":
            value.double_value = float(content)
        elif kind == "bytesValue":
            value.bytes_value = base64.b64decode(content)


def field(number: int, body: bytes) -> bytes:
    """A length-delimited protobuf field."""
    size, length = b"", len(body)
    while length > 127:
        size += bytes([length & 127 | 128])
        length >>= 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + body


def shown(span: Span) -> str:
    """Everything of a span as text, NaN included (which equals nothing)."""
    fields = [span.trace_id, span.span_id, span.parent_id, span.name, span.kind, span.start_ns, span.end_ns, span.status]
    fields += [span.status_message, dict(span.attributes), span.dropped_attributes, span.service, span.scope.name]
    fields += [(e.name, e.time_ns, dict(e.attributes)) for e in span.events]
    fields += [(k.trace_id, k.span_id) for k in span.links]
    return repr(fields)


ENCODINGS = {
    "OTLP JSON": (json.dumps(otlp()).encode(), "application/json"),
    "Tempo v1 JSON": (json.dumps({"batches": tempo(otlp())["resourceSpans"]}).encode(), "application/json"),
    "Tempo v2 JSON": (json.dumps({"trace": tempo(otlp()), "metrics": {}}).encode(), "application/json; charset=utf-8"),
    "one request per line": (b"\n".join([json.dumps(otlp()).encode(), b'{"resourceSpans":[]}']), None),
    "a list": (json.dumps([otlp()]).encode(), None),
    "with a byte order mark": (b"\xef\xbb\xbf" + json.dumps(otlp()).encode(), None),
    "protobuf": (protobuf(otlp()), "application/protobuf"),
    "Tempo v2 protobuf": (field(1, protobuf(otlp())), "application/protobuf"),
    "protobuf without a media type": (protobuf(otlp()), None),
    "our own writing": (encode_json(decode(json.dumps(otlp()).encode()).spans), None),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_encoding_reads_the_same(name):
    body, media_type = ENCODINGS[name]
    expected = decode(json.dumps(otlp()).encode(), "application/json").spans
    got = decode(body, media_type).spans
    assert [shown(s) for s in got] == [shown(s) for s in expected]


def test_a_span_is_read_whole():
    root, child = decode(json.dumps(otlp()).encode()).spans
    assert (root.trace_id, root.span_id, root.parent_id, root.kind) == (TRACE, ROOT, "", SpanKind.SERVER)
    assert (root.start_ns, root.status, root.status_message) == (1789999200000000001, Status.ERROR, "boom")
    values = dict(root.attributes)
    assert math.isnan(values.pop("nan"))
    assert values == {
        "text": "ä",
        "empty": "",
        "zero": 0,
        "big": 9007199254740993,
        "no": False,
        "half": 0.5,
        "list": ["x", 2],
        "map": {"k": True},
        "bytes": b"\x00\xff",
        "nothing": None,
    }
    assert child.parent_id == ROOT
    assert child.events[0].attributes == {"exception.type": "E"}
    assert child.links[0].trace_id == "f" * 32
    assert child.dropped_attributes == 3
    assert child.resource is root.resource


@pytest.mark.parametrize(("status", "partial"), [("PARTIAL", True), (1, True), ("COMPLETE", False), (None, False)])
def test_the_backends_word_on_completeness_is_kept(status, partial):
    body = {"trace": otlp(), "status": status, "message": "trace exceeds max size"}
    decoded = decode(json.dumps(body).encode())
    assert decoded.partial is partial
    assert decoded.note == ("trace exceeds max size" if partial else "")
    # field 3 is the status, field 4 the message
    wire = field(1, protobuf(otlp())) + (b"\x18\x01" if partial else b"") + field(4, b"trace exceeds max size")
    assert decode(wire, "application/protobuf").partial is partial


@pytest.mark.parametrize(
    ("text", "digits", "expected"),
    [
        ("abcdef0123456789", 16, "abcdef0123456789"),
        ("ABCDEF0123456789", 16, "abcdef0123456789"),
        ("a1", 16, "00000000000000a1"),
        ("0" * 16, 16, ""),
        (b64("00000000000000a1"), 16, "00000000000000a1"),
        (b64(TRACE), 32, TRACE),
        (b64("0" * 32), 32, ""),
    ],
)
def test_ids_are_told_apart_by_their_length(text, digits, expected):
    assert hex_id(text, digits) == expected


@pytest.mark.parametrize("text", ["xyz", "1" * 17, "-1", "+1", "1_0", " 1", "٣", "AAAAAAAAAA==", "!AAAAAAAAAA="])
def test_what_is_no_id_is_refused(text):
    with pytest.raises(ValueError, match=r"not an id|base64|invalid|padding|hex"):
        hex_id(text, 16)


def test_a_span_with_an_unreadable_id_is_kept_under_a_made_up_one():
    decoded = decode(json.dumps(otlp(spanId="")).encode())
    assert len(decoded.spans) == 2
    assert decoded.unreadable_ids == (decoded.spans[0].span_id,)
    assert len(decoded.spans[0].span_id) == 16


def test_unknown_enums_and_impossible_times_do_not_hide_a_span():
    span = decode(
        json.dumps(otlp(kind=77, status={"code": "STATUS_CODE_NEW"}, startTimeUnixNano=-5, endTimeUnixNano=str(2**70))).encode()
    ).spans[0]
    assert (span.kind, span.status, span.start_ns, span.end_ns) == (SpanKind.UNSPECIFIED, Status.UNSET, 0, 2**63 - 1)


def test_a_resource_without_a_name_is_the_specifications_unknown_service():
    body = otlp()
    body["resourceSpans"][0]["resource"]["attributes"][0]["value"] = {"intValue": 5}
    assert decode(json.dumps(body).encode()).spans[0].service == "unknown_service"


def test_bytes_that_are_no_utf8_and_lone_surrogates_do_not_hide_a_trace():
    body = json.dumps(otlp(name="PLACE"))
    assert decode(body.encode().replace(b"PLACE", b"bad \xff name")).spans[0].name == "bad � name"
    assert decode(body.replace("PLACE", "lone \\ud800 half").encode()).spans[0].name == "lone ? half"
    assert len(decode(body.replace('"doubleValue": "NaN"', '"doubleValue": NaN').encode()).spans) == 2


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"{", "not a trace"),
        (b"{}", "neither resourceSpans nor batches"),
        (b'{"traces":[]}', "neither resourceSpans nor batches"),
        (b'{"resourceSpans":5}', "Expected"),
        (b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":5}]}]}]}', "name"),
        (b"<html>404</html>", "neither JSON nor a protobuf"),
        (b"\x0a\x7b{{{", "neither JSON nor a protobuf"),
        (b'{"resourceSpans":' * 5000, "not a trace"),
        (
            b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{"key":"a","value":'
            + b'{"arrayValue":{"values":[' * 20_000
            + b"]}}" * 20_000
            + b"}]}]}]}]}",
            "nested too deeply",
        ),
    ],
)
def test_what_is_no_trace_is_one_sentence(body, words):
    with pytest.raises(NotATrace) as caught:
        decode(body)
    assert words.lower() in caught.value.sentence.lower()
    assert "\n" not in caught.value.sentence
    assert len(caught.value.sentence) < 300


@given(st.binary(max_size=200))
def test_random_bytes_never_raise_anything_else(body):
    for media_type in (None, "application/json", "application/protobuf"):
        try:
            decode(body, media_type)
        except NotATrace:
            continue


@given(st.data())
def test_a_mutated_trace_never_raises_anything_else(data):
    name = data.draw(st.sampled_from(sorted(ENCODINGS)))
    body, media_type = ENCODINGS[name]
    at = data.draw(st.integers(0, len(body) - 1))
    mutated = bytearray(body)
    mutated[at : at + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=5))
    with contextlib.suppress(NotATrace):
        decode(bytes(mutated), media_type)
