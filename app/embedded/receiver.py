"""OTLP over HTTP: POST /v1/traces, protobuf or JSON, gzip or plain.

An export is acknowledged when the store has committed it. Bodies are counted as they come in and as they inflate, so that
neither a large one nor a bomb is ever held whole. Answers follow the OTLP specification: a Status message in the encoding of
the request, partial success for spans that cannot be stored, 503 where the sender should try again.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections import Counter
from collections.abc import AsyncIterator

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from app.embedded.store import Store, StoreError
from app.embedded.wire import varint
from app.errors import AppError, NotATrace
from app.traces.model import Span
from app.traces.otlp import decode

MAX_BODY = 16 * 2**20
MAX_INFLATED = 64 * 2**20
MAX_RATIO = 200
MAX_WAITING = 200_000  # spans accepted and not committed; past it the sender is asked to wait
_INLINE = 64 * 1024  # decoded on the event loop; larger bodies go to a thread
_STEP = 256 * 1024

_JSON, _PROTOBUF = "application/json", "application/x-protobuf"
# google.rpc.Code
_INVALID, _EXHAUSTED, _UNAVAILABLE, _UNKNOWN = 3, 8, 14, 2


class Refused(AppError):
    """The export is not taken; `status` is HTTP's, `code` gRPC's."""

    def __init__(self, sentence: str, *, status: int, code: int = _INVALID, retry_s: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.retry_s = retry_s


class Receiver:
    """Takes exports into a store, and counts what it took and refused."""

    def __init__(self, store: Store, *, require_tenant: bool = False) -> None:
        self._store = store
        self._require_tenant = require_tenant
        self.requests: Counter[int] = Counter()  # by HTTP status
        self.accepted = 0
        self.refused = 0  # spans

    async def export(self, request: Request) -> Response:
        """The handler of POST /v1/traces."""
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            response = await self._export(request, media_type)
        except Refused as refusal:
            response = _failure(refusal, media_type)
        except ClientDisconnect:
            response = Response(status_code=499)
        self.requests[response.status_code] += 1
        return response

    async def _export(self, request: Request, media_type: str) -> Response:
        if media_type not in (_JSON, _PROTOBUF):
            raise Refused(f"The content type must be {_PROTOBUF} or {_JSON}.", status=415)
        if self._require_tenant and not request.headers.get("x-scope-orgid"):
            raise Refused("no org id", status=503, code=_UNAVAILABLE)
        if self._store.waiting > MAX_WAITING:
            raise Refused("The span store is behind; try again shortly.", status=503, code=_UNAVAILABLE, retry_s=5)
        body = await read_body(request.stream(), request.headers.get("content-encoding", ""))
        spans, unusable = await self._spans(body, media_type)
        if spans:
            try:
                await asyncio.wrap_future(self._store.append(spans))
            except StoreError as error:
                self.refused += len(spans)
                raise Refused(error.sentence, status=503, code=_UNAVAILABLE, retry_s=30) from None
        self.accepted += len(spans)
        self.refused += unusable
        return _success(media_type, unusable)

    async def _spans(self, body: bytes, media_type: str) -> tuple[list[Span], int]:
        """The spans that can be stored, and how many cannot: those without a trace or span id of their own."""
        if not body.strip() or body.strip() == b"{}":
            return [], 0  # an export of nothing is valid
        try:
            decoded = await asyncio.to_thread(decode, body, media_type) if len(body) > _INLINE else decode(body, media_type)
        except NotATrace as error:
            if media_type == _PROTOBUF and _without_spans(body):
                return [], 0
            raise Refused(error.sentence, status=400) from None
        made_up = frozenset(decoded.unreadable_ids)
        spans = [span for span in decoded.spans if span.trace_id and span.span_id not in made_up]
        return spans, len(decoded.spans) - len(spans)


def _without_spans(body: bytes) -> bool:
    """An export whose resources have no spans; a Collector may send one after its filters."""
    try:
        message = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        return False
    groups = [group for batch in message.resource_spans for group in batch.scope_spans]
    return bool(message.resource_spans) and not any(group.spans for group in groups)


async def read_body(chunks: AsyncIterator[bytes], encoding: str) -> bytes:
    """The body, inflated. Errors: Refused for one too large, broken, or in an encoding Clew does not read."""
    encoding = encoding.strip().lower()
    if encoding not in ("", "identity", "gzip"):
        raise Refused("The content encoding must be gzip, or none.", status=415)
    inflater = _Inflater() if encoding == "gzip" else None
    received, out = 0, bytearray()
    async for chunk in chunks:
        received += len(chunk)
        if received > MAX_BODY:
            raise Refused(f"The export is larger than {MAX_BODY} bytes.", status=413, code=_EXHAUSTED)
        if inflater is None:
            out += chunk
            continue
        for start in range(0, len(chunk), _STEP):
            out += inflater.feed(chunk[start : start + _STEP], len(out))
            if len(chunk) > _STEP:
                await asyncio.sleep(0)  # others may have a turn between the pieces
    if inflater is not None:
        inflater.finish()
    return bytes(out)


class _Inflater:
    """gzip, piece by piece; it stops at the first byte too many."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)
        self._fed = 0
        self._started = False

    def feed(self, data: bytes, already: int) -> bytes:
        self._fed += len(data)
        self._started = self._started or bool(data)
        # A small body may inflate far: a thousand equal spans are honest.
        most = min(MAX_INFLATED, max(2**20, self._fed * MAX_RATIO))
        out = bytearray()
        while data:
            if self._zlib.eof:  # another member follows: gzip files may be joined
                self._zlib = zlib.decompressobj(wbits=31)
            try:
                out += self._zlib.decompress(data, most - already - len(out) + 1)
            except zlib.error:
                raise Refused("The body is not gzip.", status=400) from None
            if already + len(out) > most:
                raise Refused(
                    f"The export inflates to more than {MAX_INFLATED} bytes, or {MAX_RATIO} times its size.",
                    status=413,
                    code=_EXHAUSTED,
                )
            data = self._zlib.unused_data if self._zlib.eof else self._zlib.unconsumed_tail
        return bytes(out)

    def finish(self) -> None:
        if self._started and not self._zlib.eof:
            raise Refused("The gzip body is cut off.", status=400)


def _success(media_type: str, unusable: int) -> Response:
    words = f"{unusable} spans have no valid trace id or span id." if unusable != 1 else _ONE
    if media_type == _JSON:
        partial = {"rejectedSpans": str(unusable), "errorMessage": words} if unusable else {}
        return Response(json.dumps({"partialSuccess": partial}), media_type=_JSON)
    if not unusable:
        return Response(b"", media_type=_PROTOBUF)
    inner = b"\x08" + varint(unusable) + _text(2, words)
    return Response(b"\x0a" + varint(len(inner)) + inner, media_type=_PROTOBUF)


_ONE = "1 span has no valid trace id or span id."


def _failure(refusal: Refused, media_type: str) -> Response:
    headers = {"retry-after": str(refusal.retry_s)} if refusal.retry_s else None
    if media_type == _PROTOBUF:
        body = b"\x08" + varint(refusal.code) + _text(2, refusal.sentence)
        return Response(body, refusal.status, headers, _PROTOBUF)
    words = json.dumps({"code": refusal.code, "message": refusal.sentence})
    return Response(words, refusal.status, headers, _JSON)


def _text(number: int, text: str) -> bytes:
    raw = text.encode()
    return bytes([number << 3 | 2]) + varint(len(raw)) + raw
