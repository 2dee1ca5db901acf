import itertools

import httpx2 as httpx
import pytest

from app.embedded.app import Backend
from app.embedded.reader import Reader
from app.embedded.store import Retention, Store
from app.traces.model import Resource, Scope, Span, SpanKind, Status

SECOND = 1_000_000_000


@pytest.fixture
def make_span():
    """make_span("auth.login", trace=7, at=1_000.5, lasts=0.1, service="identity", **{"auth.result": "failure"})."""
    numbers = itertools.count(1)
    shared = {}

    def make(name="span", *, trace=1, parent="", at=1_000.0, lasts=0.01, service="shop", resource=None, **fields):
        own = {key: fields.pop(key) for key in list(fields) if key in Span.__struct_fields__}
        key = repr((service, resource))
        shared.setdefault(key, Resource(service, {"service.name": service, **(resource or {})}))
        start = int(at * SECOND)
        given = {
            "trace_id": f"{trace:032x}",
            "span_id": f"{next(numbers):016x}",
            "parent_id": parent,
            "name": name,
            "kind": SpanKind.SERVER,
            "start_ns": start,
            "end_ns": start + int(lasts * SECOND),
            "attributes": fields,
            "resource": shared[key],
            "scope": Scope("lib", "1", {}),
            "status": Status.UNSET,
            **own,
        }
        return Span(**given)

    return make


@pytest.fixture
def open_store(tmp_path):
    """Opens stores on one folder; they are closed at the end."""
    opened = []

    def open_(**options):
        retention = options.pop("retention", Retention())
        store = Store(tmp_path / "spans", retention, **options)
        opened.append(store)
        return store

    yield open_
    for store in opened:
        store.close()


@pytest.fixture
def open_reader():
    opened = []

    def open_(store):
        reader = Reader(store)
        opened.append(reader)
        return reader

    yield open_
    for reader in opened:
        reader.close()


@pytest.fixture
async def backend(tmp_path):
    """A backend in this process, with `otlp` and `query` clients on it."""
    made = Backend(tmp_path / "spans")
    made.otlp_client = httpx.AsyncClient(transport=httpx.ASGITransport(made.otlp), base_url="http://otlp")
    made.query_client = httpx.AsyncClient(transport=httpx.ASGITransport(made.query), base_url="http://query")
    async with made.otlp_client, made.query_client:
        yield made
    made.close()
