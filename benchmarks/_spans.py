"""Synthetic traces of a shop under load: 20 spans, 8 services, 8 attributes a span, an event on every fifth. Seeded."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service

from app.times import UnixNanos
from app.traces.model import Event, Resource, Scope, Span, SpanKind, Status

SERVICES = ("gateway", "identity", "orders", "billing", "policy", "catalogue", "mail", "audit")
SPANS_PER_TRACE = 20
USERS, ADDRESSES, ROUTES = 5_000, 2_000, 50

_SCOPE = Scope("benchmark", "1.0", {})
_RESOURCES = [
    Resource(name, {"service.name": name, "service.version": "2026.11.1", "k8s.pod.name": f"{name}-0"}) for name in SERVICES
]


def trace(number: int, start_ns: int) -> list[Span]:
    """One trace, the same for the same number."""
    chance = random.Random(number)
    trace_id = f"{chance.getrandbits(128):032x}"
    user, address = f"user{chance.randrange(USERS):05d}", f"10.{chance.randrange(ADDRESSES) // 250}.0.{chance.randrange(250)}"
    route, refused = f"/api/route{chance.randrange(ROUTES)}", chance.random() < 0.05
    ids = [f"{chance.getrandbits(64):016x}" for _ in range(SPANS_PER_TRACE)]
    spans = []
    for place, span_id in enumerate(ids):
        begin = start_ns + place * 1_000_000
        attributes = {
            "user.name": user,
            "client.address": address,
            "http.route": route,
            "http.response.status_code": 403 if refused else 200,
            "auth.result": "failure" if refused else "success",
            "layer": SERVICES[place % 8],
            "thread.id": chance.randrange(64),
            "code.function": f"handler{place}",
        }
        event = Event("exception", UnixNanos(begin + 500_000), {"exception.type": "Denied"})
        spans.append(
            Span(
                trace_id,
                span_id,
                ids[(place - 1) // 2] if place else "",
                f"step {place}",
                SpanKind.SERVER if place % 2 == 0 else SpanKind.CLIENT,
                UnixNanos(begin),
                UnixNanos(begin + 5_000_000),
                attributes,
                _RESOURCES[place % 8],
                _SCOPE,
                Status.ERROR if refused and place % 5 == 0 else Status.UNSET,
                events=(event,) if place % 5 == 0 else (),
            )
        )
    return spans


def exports(count: int, spans_each: int, start_ns: int) -> Iterator[bytes]:
    """Protobuf export requests of so many spans each, as an SDK's batches."""
    waiting: list[Span] = []
    number = 0
    for _ in range(count):
        while len(waiting) < spans_each:
            waiting += trace(number, start_ns + number * 1_000_000)
            number += 1
        yield _request(waiting[:spans_each])
        del waiting[:spans_each]


def _request(spans: list[Span]) -> bytes:
    message = service.ExportTraceServiceRequest()
    groups: dict[str, Any] = {}
    for span in spans:
        if span.service not in groups:
            batch = message.resource_spans.add()
            _fill(batch.resource.attributes, span.resource.attributes)
            groups[span.service] = batch.scope_spans.add()
            groups[span.service].scope.name = span.scope.name
        _add(groups[span.service].spans, span)
    return message.SerializeToString()


def _add(spans: Any, span: Span) -> None:
    made = spans.add(
        trace_id=bytes.fromhex(span.trace_id),
        span_id=bytes.fromhex(span.span_id),
        parent_span_id=bytes.fromhex(span.parent_id),
        name=span.name,
        kind=span.kind.value,
        start_time_unix_nano=span.start_ns,
        end_time_unix_nano=span.end_ns,
    )
    made.status.code = span.status.value
    _fill(made.attributes, span.attributes)
    for event in span.events:
        _fill(made.events.add(name=event.name, time_unix_nano=event.time_ns).attributes, event.attributes)


def _fill(pairs: Any, attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        kept = pairs.add(key=name).value
        if isinstance(value, int):
            kept.int_value = value
        else:
            kept.string_value = value
