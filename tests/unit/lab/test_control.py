"""The lab's hand in a service: only with its key, and faults that strike before the service sees the request."""

import httpx2 as httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse

from app.lab import control
from app.lab.control import Controlled, Faults
from app.lab.headers import CONTROL_HEADER

TRACE = {"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "x-forwarded-for": "198.18.0.1"}


async def echo(scope, receive, send):
    await JSONResponse(dict(Request(scope).headers))(scope, receive, send)


@pytest.fixture
def service():
    faults = Faults()
    app = Controlled(echo, faults, "secret", {})
    return faults, httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service")


async def test_control_routes_ask_for_the_key(service):
    faults, client = service
    assert (await client.put("/lab/faults", content=b'{"down":true}')).status_code == 403
    assert (await client.put("/lab/faults", content=b'{"down":true}', headers={CONTROL_HEADER: "guess"})).status_code == 403
    assert not faults.down
    answer = await client.put("/lab/faults", content=b'{"down":true}', headers={CONTROL_HEADER: "secret"})
    assert answer.status_code == 200
    assert faults.down


async def test_faults_that_do_not_exist_change_nothing(service):
    faults, client = service
    answer = await client.put("/lab/faults", content=b'{"down":"perhaps"}', headers={CONTROL_HEADER: "secret"})
    assert answer.status_code == 422
    assert faults == Faults()


async def test_a_sound_service_sees_the_request_as_it_came(service):
    _faults, client = service
    seen = (await client.get("/orders", headers=TRACE)).json()
    assert seen["traceparent"] == TRACE["traceparent"]


async def test_stripped_context_loses_the_trace_and_keeps_the_rest(service):
    faults, client = service
    faults.strip_context = True
    seen = (await client.get("/orders", headers=TRACE)).json()
    assert "traceparent" not in seen
    assert seen["x-forwarded-for"] == "198.18.0.1"


async def test_a_service_that_is_down_answers_503_without_being_asked(service):
    faults, client = service
    faults.down = True
    answer = await client.get("/orders", headers=TRACE)
    assert (answer.status_code, answer.content) == (503, b"")


async def test_a_hanging_service_makes_its_caller_wait(service, monkeypatch):
    faults, client = service
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    monkeypatch.setattr(control.asyncio, "sleep", sleep)
    faults.hang = True
    await client.get("/orders")
    assert waited == [control.HANG_S]
