"""Stacks that the blind set's instruments do not know."""

from __future__ import annotations

from typing import Any

from drawing import Event, Span
from instruments import DRIVERS, JS, JVM, PY, STACKS, Service, Stack, given

STACKS |= {
    "axum": Stack("rust", "axum-otel#0.29.0", "reqwest-tracing#0.5.8", "tonic-tracing-opentelemetry#0.28.1", "0.31.0"),
    "actix": Stack("rust", "opentelemetry-instrumentation-actix-web#0.23.0", "awc", "", "0.31.0"),
    "phoenix": Stack("erlang", "opentelemetry_phoenix#2.0.1", "opentelemetry_req#1.0.0", "", "1.5.0"),
    "symfony": Stack("php", "io.opentelemetry.contrib.php.symfony#1.1.0", "io.opentelemetry.contrib.php.http-async#1.1.0"),
    "micronaut": Stack("java", "io.micronaut.http.server", "io.micronaut.http.client", "io.micronaut.grpc", "1.56.0"),
    "ktor": Stack("java", f"{JVM}.ktor-3.0#2.22.0-alpha", f"{JVM}.ktor-3.0#2.22.0-alpha", "", "1.56.0"),
    "lambda-js": Stack("nodejs", f"{JS}-aws-lambda#0.61.0", f"{JS}-http#0.208.0", "", "2.2.0"),
    "lambda-py": Stack("python", f"{PY}.aws_lambda#0.60b1", f"{PY}.requests#0.60b1", "", "1.39.0"),
}
DRIVERS |= {
    "axum": "sqlx-tracing", "actix": "sqlx-tracing", "phoenix": "opentelemetry_ecto#1.2.0",
    "symfony": "io.opentelemetry.contrib.php.doctrine#0.3.0",
    "micronaut": "io.micronaut.jdbc", "ktor": f"{JVM}.jdbc#2.22.0-alpha",
    "lambda-js": f"{JS}-pg#0.61.0", "lambda-py": f"{PY}.psycopg2#0.60b1",
}  # fmt: skip


def tracing_event(text: str, level: str = "WARN", target: str = "", **fields: Any) -> Event:
    """An event of Rust's `tracing` as its OpenTelemetry layer writes it: the text is the name."""
    return Event(text, given({"level": level, "target": target}) | fields)


def invoked(svc: Service, *under: Span, trigger: str = "http", **kw: Any) -> Span:
    """The SERVER span of a Lambda function, which has no status of its own."""
    arn = f"arn:aws:lambda:eu-west-1:123456789012:function:{svc.name}"
    attrs = {"faas.invocation_id": "8f507cfc-1f0b-4f55-9a5a-0c2c86a3f1d7", "faas.trigger": trigger, "cloud.resource_id": arn}
    span = svc.span(svc.name, *under, kind="server", attrs=attrs | kw.pop("attrs", {}), scope=svc.stack.server, **kw)
    span.request, span.code = f"POST http://lambda.eu-west-1.amazonaws.com/{svc.name}", 200  # type: ignore[attr-defined]
    return span
