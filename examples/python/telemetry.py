"""Everything about telemetry that this service needs: take this file over and call `set_up` first of all.

set_up("orders")
app = FastAPI()
instrument(app)

with check("auth.permission_check", auth_method="bearer", auth_resource="order", auth_action="read") as span:
    span.set_attribute("user.id", user_id)
    if not allowed:
        raise Refused("forbidden", "lacks the role clerk")
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from fastapi import FastAPI, Request
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.propagators import ResponsePropagator, default_setter, set_global_response_propagator
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span

tracer = trace.get_tracer("shop")


def set_up(service: str) -> None:
    """Send spans as OTEL_* says, under this name if that says none; write logs as lines of JSON to standard output."""
    os.environ.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    os.environ.setdefault("OTEL_SERVICE_NAME", service)
    # The current names of attributes; by default these instrumentations write those from before the conventions settled.
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")
    provider = TracerProvider(resource=Resource.create())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    set_global_response_propagator(TraceIdHeader())
    HTTPXClientInstrumentor().instrument()  # W3C trace context on every call out
    PsycopgInstrumentor().instrument()

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log every call


def instrument(app: FastAPI) -> None:
    """A SERVER span for each request but health checks, and nothing for the single messages of a request."""
    FastAPIInstrumentor.instrument_app(app, excluded_urls="/healthz", exclude_spans=["receive", "send"])


@asynccontextmanager
async def until_sent(app: FastAPI) -> AsyncIterator[None]:
    """FastAPI's `lifespan`: sends what is still queued before the process ends.

    uvicorn ends it by the very signal it was sent, and then nothing runs that was registered for the interpreter's exit.
    """
    yield
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        await asyncio.to_thread(provider.shutdown)


class Refused(Exception):
    """A check said no. `reason` is one of the closed list that becomes a label; `detail` is for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@contextmanager
def check(name: str, **attributes: str | Sequence[str]) -> Iterator[Span]:
    """A span around one check, and nothing else, with a result on every way out of it.

    Refused is a failure; any other exception means that the check could not decide. In keywords `_` stands for a dot.
    """
    # Both kinds of exception are recorded on this span, which also gets status ERROR. The SERVER span above does not:
    # a 403 is an answer.
    with tracer.start_as_current_span(
        name, attributes={key.replace("_", "."): value for key, value in attributes.items()}
    ) as span:
        try:
            yield span
        except Refused as refused:
            span.set_attributes({"auth.result": "failure", "auth.failure_reason": refused.reason, "error.type": refused.reason})
            raise
        except Exception:
            span.set_attributes({"auth.result": "error", "auth.failure_reason": "upstream_error"})
            raise
        span.set_attribute("auth.result", "success")


def who(name: str) -> dict[str, str]:
    """The name given at a log-in, as an attribute: hashed where there is a key for it, and then the name is written nowhere."""
    key = os.environ.get("USER_HASH_KEY")
    if not key:
        return {"user.name": name.lower()}
    return {"user.hash": hmac.new(key.encode(), name.lower().encode(), hashlib.sha256).hexdigest()}


def client_address(request: Request) -> str:
    """Who connected to the edge; `PROXIES` sees to it that this is not the proxy."""
    return request.client.host if request.client else ""


# For `uvicorn.run`: X-Forwarded-For is believed, and its first address taken, only where a proxy of ours is known to write
# it. By default uvicorn believes it of everything on its own machine.
PROXIES = {"proxy_headers": os.environ.get("TRUST_FORWARDED_FOR") == "true", "forwarded_allow_ips": "*"}


class SqlStateCursor(psycopg.Cursor[Any]):
    """The instrumentation records the exception but not its SQLSTATE, which tells a row policy from a missing table.

    For `psycopg.connect(..., cursor_factory=SqlStateCursor)`: `execute` runs inside the span of its statement.
    """

    def execute(self, *given: Any, **options: Any) -> SqlStateCursor:
        try:
            return super().execute(*given, **options)
        except psycopg.Error as error:
            if error.sqlstate:
                trace.get_current_span().set_attribute("db.response.status_code", error.sqlstate)
            raise


class TraceIdHeader(ResponsePropagator):
    """`x-trace-id` on every answer, so that whoever was refused can say which request it was."""

    def inject(self, carrier: Any, context: Any = None, setter: Any = default_setter) -> None:
        found = trace.get_current_span(context).get_span_context()
        if found.is_valid:
            setter.set(carrier, "x-trace-id", trace.format_trace_id(found.trace_id))


class JsonLines(logging.Formatter):
    """A record as one line of JSON with the trace it belongs to."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "severity": record.levelname,
            "message": record.getMessage(),
        }
        found = trace.get_current_span().get_span_context()
        if found.is_valid:
            line |= {"trace_id": trace.format_trace_id(found.trace_id), "span_id": trace.format_span_id(found.span_id)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)
