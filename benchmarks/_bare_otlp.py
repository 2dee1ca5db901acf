"""The least a span store can do: HTTP, protobuf decoded, one row a span with four indexes, one commit a request.

What the embedded backend's ingest is measured against. `python -m benchmarks._bare_otlp FILE` prints its port.
"""

from __future__ import annotations

import json
import socket
import sqlite3
import sys
from typing import Any

import uvicorn
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_SCHEMA = """
CREATE TABLE spans (trace_id BLOB, span_id BLOB, parent_id BLOB, name TEXT, service TEXT, kind INTEGER, start_ns INTEGER,
    end_ns INTEGER, status INTEGER, user TEXT, attributes TEXT, events TEXT);
CREATE INDEX by_trace ON spans (trace_id);
CREATE INDEX by_service ON spans (service, start_ns);
CREATE INDEX by_user ON spans (user, start_ns);
CREATE INDEX by_start ON spans (start_ns);
"""


def application(file: str) -> Starlette:
    db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.executescript(_SCHEMA)

    async def export(request: Request) -> Response:
        message = service.ExportTraceServiceRequest.FromString(await request.body())
        db.execute("BEGIN")
        db.executemany("INSERT INTO spans VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", _rows(message))
        db.execute("COMMIT")
        return Response(b"", media_type="application/x-protobuf")

    return Starlette(routes=[Route("/v1/traces", export, methods=["POST"])])


def _rows(message: Any) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for batch in message.resource_spans:
        name = next((pair.value.string_value for pair in batch.resource.attributes if pair.key == "service.name"), "")
        for group in batch.scope_spans:
            for span in group.spans:
                attributes = {pair.key: _value(pair.value) for pair in span.attributes}
                events = [(event.name, event.time_unix_nano, {p.key: _value(p.value) for p in event.attributes})
                          for event in span.events]  # fmt: skip
                rows.append((
                    span.trace_id, span.span_id, span.parent_span_id, span.name, name, span.kind, span.start_time_unix_nano,
                    span.end_time_unix_nano, span.status.code, attributes.get("user.name"), json.dumps(attributes),
                    json.dumps(events),
                ))  # fmt: skip
    return rows


def _value(value: Any) -> object:
    return getattr(value, value.WhichOneof("value"))


def main() -> None:
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    bound.listen()  # before the port is told
    print(f"http://127.0.0.1:{bound.getsockname()[1]}", flush=True)
    config = uvicorn.Config(application(sys.argv[1]), log_config=None, access_log=False, http="httptools", lifespan="off")
    uvicorn.Server(config).run(sockets=[bound])


if __name__ == "__main__":
    main()
