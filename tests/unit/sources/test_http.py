"""What every request carries, how many go out at once, when none goes out, and what is known afterwards."""

import asyncio

import httpx2 as httpx
import msgspec
import pytest

from app.errors import SourceRefused, SourceUnavailable, SourceUnreadable
from app.settings import SourceSettings
from app.sources.answer import retry_after
from app.sources.credentials import Credentials
from app.sources.http import SourceHttp
from app.times import SECOND, UnixNanos

T0 = UnixNanos(1_790_000_000 * SECOND)


def settings(**given: object) -> SourceSettings:
    return SourceSettings.model_validate({"url": "http://tempo:3200/prefix", "timeout_s": 5} | given)


def serving(handler, clock=None, **given: object) -> SourceHttp:
    return SourceHttp("Tempo", settings(**given), transport=httpx.MockTransport(handler), clock=clock or (lambda: T0))


def ok(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"url": str(request.url), "method": request.method, "body": request.content.decode()})


class Echo(msgspec.Struct):
    url: str
    method: str
    body: str


async def test_a_request_carries_tenant_credentials_and_further_headers():
    seen = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return ok(request)

    given = {"tenant": "a|b", "username": "u", "password": "p", "headers": {"X-Scope": "s"}}
    async with serving(handler, **given) as http:
        answer = await http.get("/api/x", {"q": '{ a = "b" }'}, operation="search")
    headers = seen[0].headers
    assert headers["X-Scope-OrgID"] == "a|b"
    assert headers["Authorization"] == "Basic dTpw"
    assert headers["X-Scope"] == "s"
    assert headers["Accept"] == "application/json"
    assert headers["User-Agent"].startswith("clew/")
    assert answer.url == "http://tempo:3200/prefix/api/x?q=%7B+a+%3D+%22b%22+%7D"
    assert answer.received_ns == T0


async def test_a_bearer_token_wins_over_basic():
    def handler(request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"] == "Bearer tok"
        return ok(request)

    async with serving(handler, username="u", password="p", bearer_token="tok") as http:
        await http.get("/", operation="echo")


async def test_no_credentials_and_no_tenant_are_sent_unasked():
    def handler(request: httpx.Request) -> httpx.Response:
        assert not {"authorization", "x-scope-orgid"} & set(request.headers)
        return ok(request)

    async with serving(handler) as http:
        await http.get("/", operation="echo")


async def test_a_form_repeats_names_and_leaves_the_address_short():
    async with serving(ok) as http:
        echo = await http.read_json("/q", [("match[]", "a"), ("match[]", "b c"), ("x", 1)], Echo, operation="query", form=True)
    assert echo.method == "POST"
    assert echo.url == "http://tempo:3200/prefix/q"
    assert echo.body == "match%5B%5D=a&match%5B%5D=b+c&x=1"


async def test_a_source_that_is_not_configured_says_so_and_is_not_failing():
    async with SourceHttp("Tempo", SourceSettings.model_validate({})) as http:
        with pytest.raises(SourceRefused, match="Tempo is not configured"):
            await http.get("/", operation="echo")
        assert not http.enabled
        assert not http.health.enabled
        assert http.health.failing_since_ns is None


async def test_no_more_than_the_allowed_number_at_once():
    running = most = 0
    gate = asyncio.Event()

    async def handler(request: httpx.Request) -> httpx.Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1
        return ok(request)

    async with serving(handler, max_parallel=3) as http:
        asked = [asyncio.create_task(http.get("/", operation="echo")) for _ in range(10)]
        for _ in range(20):
            await asyncio.sleep(0)
        assert running == 3
        gate.set()
        await asyncio.gather(*asked)
    assert most == 3


async def test_waiting_for_a_slot_ends_at_the_deadline_and_does_not_count_against_the_source():
    async def stuck(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        return ok(request)

    async with serving(stuck, max_parallel=1, timeout_s=0.2) as http:
        first = asyncio.create_task(http.get("/", operation="echo", deadline_s=2))
        await asyncio.sleep(0.01)
        for _ in range(6):
            with pytest.raises(SourceUnavailable, match="1 requests to Tempo were under way"):
                await http.get("/", operation="echo", deadline_s=0.01)
        assert http.health.paused_until_ns is None
        assert http.health.failing_since_ns is None
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first


async def test_five_failures_pause_the_source_and_the_first_answer_ends_it():
    now = T0
    down = True
    asked = 0

    def handler(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return httpx.Response(503, text="starting") if down else ok(request)

    async with serving(handler, clock=lambda: now, attempts=1) as http:
        for _ in range(5):
            with pytest.raises(SourceUnavailable, match="503"):
                await http.get("/", operation="echo")
        with pytest.raises(SourceUnavailable) as caught:
            await http.get("/", operation="echo")
        assert str(caught.value) == "Tempo has not answered since 2026-09-21 14:13:20 UTC. Clew asks again in 30 s."
        assert caught.value.detail == "Tempo failed with status 503."
        assert asked == 5
        assert http.health.paused_until_ns == T0 + 30 * SECOND
        assert http.health.failing_since_ns == T0
        down = False
        assert (await http.probe("/ready", operation="ready")).status == 200
        assert http.health.paused_until_ns is not None
        now = UnixNanos(T0 + 30 * SECOND)
        await http.get("/", operation="echo")
        assert http.health.paused_until_ns is None
        assert http.health.failing_since_ns is None
        assert http.health.last_success_ns == now


@pytest.mark.parametrize(
    ("status", "failing"), [(400, False), (422, False), (401, True), (404, True), (500, True), (429, True)]
)
async def test_what_an_error_status_says_about_the_source(status, failing):
    """Six in a row of any of these never pause a source: it is up."""
    async with serving(lambda request: httpx.Response(status, text="no"), attempts=1) as http:
        for _ in range(6):
            with pytest.raises((SourceRefused, SourceUnavailable)) as caught:
                await http.get("/", operation="echo")
            assert caught.value.status == status
        health = http.health
    assert health.paused_until_ns is None
    assert (health.failing_since_ns is not None) is failing
    assert (health.last_success_ns is None) is failing


async def test_an_answer_of_the_wrong_shape_is_failing_too():
    async with serving(lambda request: httpx.Response(200, json={"url": 1})) as http:
        with pytest.raises(SourceUnreadable) as caught:
            await http.read_json("/", (), Echo, operation="echo")
        assert "$.url" in caught.value.detail or "url" in caught.value.detail
        assert http.health.last_error == str(caught.value)


async def test_a_large_answer_is_put_together_and_decoded_off_the_loop(monkeypatch):
    threads = []
    real = asyncio.to_thread

    async def watched(function, *args):
        threads.append(function)
        return await real(function, *args)

    monkeypatch.setattr(asyncio, "to_thread", watched)
    body = {"url": "x" * 1_100_000, "method": "", "body": ""}
    async with serving(lambda request: httpx.Response(200, json=body)) as http:
        assert len((await http.read_json("/", (), Echo, operation="echo")).url) == 1_100_000
    assert [function.__name__ for function in threads] == ["join", "_decode"]


async def test_a_redirect_is_not_followed():
    seen = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(307, headers={"Location": "http://169.254.169.254/"})

    async with serving(handler) as http:
        with pytest.raises(SourceRefused, match="elsewhere"):
            await http.get("/", operation="echo")
        with pytest.raises(SourceRefused, match="elsewhere"):
            await http.probe("/", operation="ready")
    assert all(url.startswith("http://tempo:3200/") for url in seen)


async def test_a_redirect_to_tls_says_how_the_url_has_to_begin():
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(301, headers={"Location": "https://tempo:3200/prefix/"})

    async with serving(handler) as http:
        with pytest.raises(SourceRefused, match="wants its URL to begin with https://"):
            await http.get("/", operation="echo")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("", None), ("7", 7.0), (" 7 ", 7.0), ("soon", None), ("-1", None), ("Mon, 21 Sep 2026 14:13:30 GMT", 10.0),
     ("Mon, 21 Sep 2020 14:13:30 GMT", 0.0), ("Mon, 99 Sep 2026 14:13:30 GMT", None)],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(header, seconds):
    assert retry_after(header, T0) == seconds


def test_cleaning_takes_out_secrets_and_line_breaks_and_cuts():
    credentials = Credentials(settings(password="hunter2", username="u", headers={"X-Key": "hunter22"}))
    assert credentials.clean("a\r\n\x1b[31mb\u2028 hunter22 and hunter2") == "a [31mb ••• and •••"
    assert credentials.clean("x" * 400) == "x" * 299 + "…"
    assert "hunter2" not in repr(credentials)
    straddling = "x" * 298 + "hunter2"
    assert "hu" not in credentials.clean(straddling)
