"""The small labelled traces of tests/golden in the three encodings that the decoders read, as seeds for mutation.

Small ones, because a mutation of one field in eight spans is judged in a millisecond, and of one in eight hundred is not.
"""

from __future__ import annotations

import base64
import functools
import json
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.trace.v1 import trace_pb2

TRACES = Path(__file__).resolve().parents[1] / "golden" / "blind" / "traces"
MEDIA = {"otlp-json": "application/json", "tempo-json": "application/json", "protobuf": "application/x-protobuf"}
_LARGEST = 3_200
_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_CODES = ("UNSET", "OK", "ERROR")


@functools.cache
def documents() -> tuple[dict[str, Any], ...]:
    """The small traces as OTLP/JSON."""
    read = (json.loads(file.read_bytes()) for file in sorted(TRACES.glob("*.json")))
    plain = [document for document in read if "resourceSpans" in document and _has_hex_ids(document)]
    return tuple(document for document in plain if len(json.dumps(document, separators=(",", ":"))) <= _LARGEST)


@functools.cache
def bodies(encoding: str) -> tuple[bytes, ...]:
    """The seeds as the bytes that a backend sends."""
    if encoding == "protobuf":
        # Every second one in the wrapper that Tempo's second trace route puts around it.
        plain = [_message(document).SerializeToString() for document in documents()]
        return tuple(body if at % 2 else _wrapped(body) for at, body in enumerate(plain))
    if encoding == "tempo-json":
        return tuple(json.dumps(_as_tempo(document), separators=(",", ":")).encode() for document in documents())
    return tuple(json.dumps(document, separators=(",", ":")).encode() for document in documents())


def spans_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [span for batch in document["resourceSpans"] for group in batch["scopeSpans"] for span in group["spans"]]


def _has_hex_ids(document: dict[str, Any]) -> bool:
    return all(len(span["spanId"]) == 16 and len(span["traceId"]) == 32 for span in spans_of(document))


def _as_tempo(document: dict[str, Any]) -> dict[str, Any]:
    out = json.loads(json.dumps(document))
    for span in spans_of(out):
        for ids in (span, *span.get("links", ())):
            for key in ("traceId", "spanId", "parentSpanId"):
                if key in ids:
                    ids[key] = base64.b64encode(bytes.fromhex(ids[key])).decode()
        span["kind"] = f"SPAN_KIND_{_KINDS[span.get('kind', 0)]}"
        if "code" in span.get("status", {}):
            span["status"]["code"] = f"STATUS_CODE_{_CODES[span['status']['code']]}"
    return {"trace": out, "metrics": {"inspectedBytes": "178440"}}


def _message(document: dict[str, Any]) -> trace_pb2.TracesData:
    return json_format.ParseDict(_as_tempo(document)["trace"], trace_pb2.TracesData())


def _wrapped(body: bytes) -> bytes:
    """Tempo's TraceByIDResponse: the trace, then the status PARTIAL and a message."""
    length, count = b"", len(body)
    while count > 0x7F:
        length += bytes((count & 0x7F | 0x80,))
        count >>= 7
    return b"\x0a" + length + bytes((count,)) + body + b"\x18\x01\x22\x07too big"
