"""The OpenTelemetry SDK as a user's own service would set it up, with an exporter that can be pointed elsewhere."""

from __future__ import annotations

import os
from collections.abc import Sequence

import fastapi
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor
from opentelemetry.instrumentation.propagators import TraceResponsePropagator, set_global_response_propagator
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import __version__
from app.lab.config import BILLING, ORDERS, POLICY, ServiceConfig
from app.lab.control import Faults
from app.lab.headers import RESPONSE_HEADER
from app.times import SECOND

# One shop, several generations of instrumentation, as in a grown system: orders still writes the names from before the
# HTTP conventions were settled; policy and billing use FastAPI's own telemetry instead of the contributed package.
OLD_HTTP_NAMES = frozenset({ORDERS})
NATIVE = frozenset({POLICY, BILLING})


class Redirectable(SpanExporter):
    """An OTLP/HTTP exporter whose target can change while the service runs."""

    def __init__(self, url: str) -> None:
        self._exporter = self._to(url)

    @staticmethod
    def _to(url: str) -> OTLPSpanExporter:
        return OTLPSpanExporter(endpoint=f"{url}/v1/traces", timeout=5)

    def redirect(self, url: str) -> None:
        former, self._exporter = self._exporter, self._to(url)
        former.shutdown()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export(spans)

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class OwnClock(BatchSpanProcessor):
    """Sends spans as the service's own clock dates them, which may be wrong."""

    def __init__(self, exporter: SpanExporter, faults: Faults) -> None:
        super().__init__(exporter, max_queue_size=16_384, schedule_delay_millis=1000)
        self._faults = faults

    def on_end(self, span: ReadableSpan) -> None:
        off_ns = round(self._faults.clock_off_s * SECOND)
        super().on_end(shifted(span, off_ns) if off_ns else span)


def shifted(span: ReadableSpan, off_ns: int) -> ReadableSpan:
    """The same span, dated by a clock that is ahead by `off_ns`."""
    return ReadableSpan(
        span.name, context=span.context, parent=span.parent, resource=span.resource, attributes=span.attributes,
        events=[Event(event.name, event.attributes, event.timestamp + off_ns) for event in span.events],
        links=span.links, kind=span.kind, status=span.status, instrumentation_scope=span.instrumentation_scope,
        start_time=None if span.start_time is None else span.start_time + off_ns,
        end_time=None if span.end_time is None else span.end_time + off_ns,
    )  # fmt: skip


class Telemetry:
    """One service's tracing: sends spans to `config.otlp_url` until `send_to` names another place."""

    def __init__(self, config: ServiceConfig, faults: Faults) -> None:
        # Read once by the instrumentations, so it has to stand before any of them starts.
        os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "" if config.name in OLD_HTTP_NAMES else "http,database"
        attributes: dict[str, str | int] = {
            "service.name": config.name,
            "service.namespace": "shop",
            "service.version": __version__,
            "service.instance.id": f"{config.name}-1",
            "deployment.environment.name": "lab",
            "process.pid": os.getpid(),
        }
        if config.store_description:
            attributes["lab.store"] = config.store_description
        self._exporter = Redirectable(config.otlp_url)
        self._provider = TracerProvider(resource=Resource.create(attributes))
        self._provider.add_span_processor(OwnClock(self._exporter, faults))
        if not config.instrumented:
            return
        trace.set_tracer_provider(self._provider)
        set_global_response_propagator(TraceResponsePropagator())
        self._peers = {_authority(url): name for name, url in config.peers.items()}
        HTTPX2ClientInstrumentor().instrument(request_hook=self._name_peer, async_request_hook=self._name_peer_async)
        if config.database.startswith("postgresql:"):
            PsycopgInstrumentor().instrument()
        elif config.database:
            SQLite3Instrumentor().instrument()

    def _name_peer(self, span: trace.Span, request: object) -> None:
        # All services share one loopback address; a deployment would have a name per service here.
        url = getattr(request, "url", None)
        peer = self._peers.get(_authority(str(url))) if url is not None else None
        if peer:
            span.set_attribute("peer.service", peer)

    async def _name_peer_async(self, span: trace.Span, request: object) -> None:
        self._name_peer(span, request)

    def send_to(self, url: str) -> None:
        """Send what is still queued to the old target, everything after that to `url`."""
        self.flush()
        self._exporter.redirect(url)

    def flush(self) -> None:
        self._provider.force_flush(10_000)

    def shutdown(self) -> None:
        self._provider.shutdown()


def instrument(app: fastapi.FastAPI, name: str) -> None:
    """Server spans by the contributed package, or by FastAPI itself, never by both.

    FastAPI 0.165 steps back where it finds the contributed middleware in its stack, so nothing is counted twice.
    """
    if name in NATIVE:
        app.add_middleware(TraceResponse)
    else:
        FastAPIInstrumentor.instrument_app(app, exclude_spans=["receive", "send"])


class TraceResponse:
    """Middleware for the `traceresponse` header, which the contributed package sends and FastAPI's own telemetry does not.

    It runs inside FastAPI's server span, so the current span belongs to the request's trace.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_header(message: Message) -> None:
            if message["type"] == "http.response.start":
                context = trace.get_current_span().get_span_context()
                value = f"00-{context.trace_id:032x}-{context.span_id:016x}-01"
                message["headers"] = [*message.get("headers", []), (RESPONSE_HEADER.encode(), value.encode())]
            await send(message)

        await self.app(scope, receive, with_header if scope["type"] == "http" else send)


def current_trace_id() -> str:
    return f"{trace.get_current_span().get_span_context().trace_id:032x}"


def _authority(url: str) -> str:
    return url.split("//", 1)[-1].split("/", 1)[0]
