"""Every way an upstream can misbehave, from a real socket: one of our errors, a plain sentence, within the deadline."""

from __future__ import annotations

import asyncio
import socket
import time

import msgspec
import pytest
from support.fault_server import FaultServer, answer, says, self_signed

from app.errors import SourceError, SourceRefused, SourceUnavailable, SourceUnreadable
from app.settings import SourceSettings
from app.sources.http import SourceHttp

CANARIES = ("pa55word-canary", "t0ken-canary", "h3ader-canary")


class Traces(msgspec.Struct):
    traces: list[dict[str, str]] = []


def settings(url: str, **given: object) -> SourceSettings:
    base = {
        "url": url,
        "connect_timeout_s": 5,
        "timeout_s": 10,
        "max_response_bytes": 2 * 2**20,
        "attempts": 2,
        "tenant": "team-a",
        "username": "clew",
        "password": CANARIES[0],
        "headers": {"X-Api-Key": CANARIES[2]},
    }
    return SourceSettings.model_validate(base | given)


def deadline(fault: str) -> dict[str, object]:
    return {"timeout_s": DEADLINE_S} if fault in SLOW else {}


async def ask(configured: SourceSettings) -> Traces:
    async with SourceHttp("Tempo", configured) as http:
        return await http.read_json("/api/search", {"q": "{}"}, Traces, operation="search")


SLOW = {"slow_header", "slow_drip"}  # what only the deadline ends: a short one
DEADLINE_S = 0.5

# fault: the error's class, what its sentence says
TABLE = {
    "slow_header": (SourceUnavailable, "Tempo did not answer within 0.5 s."),
    "slow_drip": (SourceUnavailable, "Tempo did not answer within 0.5 s."),
    "error_500_html": (SourceUnavailable, "Tempo failed with status 500."),
    "busy_429": (SourceUnavailable, "Tempo is asked too much at the moment (429). It asks to wait 30 s."),
    "truncated_length": (SourceUnavailable, "Tempo broke off its answer."),
    "truncated_chunk": (SourceUnavailable, "Tempo broke off its answer."),
    "reset": (SourceUnavailable, "Tempo broke off its answer."),
    "malformed_json": (SourceUnreadable, "Tempo answered with JSON that its API does not promise."),
    "invalid_utf8": (SourceUnreadable, "Tempo answered with JSON that its API does not promise."),
    "wrong_type": (SourceUnreadable, "Tempo answered with JSON that its API does not promise."),
    "deep_json": (SourceUnreadable, "Tempo answered with JSON that its API does not promise."),
    "html_200": (SourceUnreadable, "Tempo answered with a web page: a log-in page or a proxy may stand in between."),
    "empty_body": (SourceUnreadable, "Tempo answered with nothing at all."),
    "huge": (SourceUnreadable, "Tempo's answer is larger than the 2 MB that Clew accepts."),
    "gzip_bomb": (SourceUnreadable, "Tempo's answer is larger than the 2 MB that Clew accepts."),
    "bad_gzip": (SourceUnreadable, "Tempo sent an answer whose compression is broken."),
    "garbage": (SourceUnreadable, "What answers at Tempo's address does not speak HTTP."),
    "redirect": (SourceRefused, "Tempo sends Clew elsewhere (302), which Clew does not follow."),
    "unavailable_503": (SourceUnavailable, "Tempo failed with status 503."),
    "unauthorised": (SourceRefused, "Tempo asks which tenant is meant: set its tenant in Clew's settings."),
    "ssh_banner": (SourceUnavailable, "Tempo closed the connection without an HTTP answer."),
    "closes": (SourceUnavailable, "Tempo closed the connection without an HTTP answer."),
}


@pytest.mark.parametrize("fault", TABLE)
async def test_a_fault_is_one_of_our_errors_in_time(fault):
    kind, sentence = TABLE[fault]
    begun = time.monotonic()
    async with FaultServer(fault) as server:
        with pytest.raises(SourceError) as caught:
            await ask(settings(server.url, **deadline(fault)))
    took_s = time.monotonic() - begun
    assert type(caught.value) is kind
    assert str(caught.value) == sentence
    assert caught.value.source == "Tempo"
    assert caught.value.operation == "search"
    assert len(caught.value.detail) <= 300
    assert "<" not in str(caught.value)
    # No speed test: a drip that nothing ends would go on for hours.
    assert took_s < 60


async def test_the_fine_answer_passes():
    async with FaultServer("fine") as server:
        assert (await ask(settings(server.url))).traces == []


async def test_a_refused_connection():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(SourceUnavailable) as caught:
            await ask(settings(f"http://127.0.0.1:{port}"))
    assert str(caught.value) == "Tempo refused the connection: nothing listens at its address."


async def test_a_name_that_does_not_resolve(monkeypatch):
    def unknown(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(SourceUnavailable) as caught:
        await ask(settings("http://tempo.invalid:3200"))
    assert str(caught.value) == "Tempo's host name cannot be resolved."


async def test_a_connection_that_is_never_accepted(monkeypatch):
    async def never(*args: object, **kwargs: object) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    with pytest.raises(SourceUnavailable) as caught:
        await ask(settings("http://tempo.invalid:3200", attempts=1, connect_timeout_s=0.5))
    assert str(caught.value) == "Tempo could not be reached within 0.5 s."


async def test_a_self_signed_certificate_is_not_trusted_until_named(tmp_path):
    context, cert = self_signed(tmp_path)
    async with FaultServer("fine", tls=context) as server:
        with pytest.raises(SourceUnavailable) as caught:
            await ask(settings(server.url))
        assert str(caught.value).startswith("Tempo's certificate is not trusted: self-signed certificate")
        assert server.requests == 0
        assert (await ask(settings(server.url, ca_file=cert))).traces == []


async def test_tls_to_a_plain_port():
    async with FaultServer("fine", eager=True) as server:
        with pytest.raises(SourceUnavailable) as caught:
            await ask(settings(server.url.replace("http:", "https:")))
    assert str(caught.value) == "No TLS connection to Tempo: its address may want http:// instead of https://."


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "http://[::1", "http://", "http://u:p@127.0.0.1/", "http://127.0.0.1/x?y=1", "http://h:99999/",
     "gopher://127.0.0.1/", "http://exa mple/"],
)  # fmt: skip
async def test_an_address_that_is_none_fails_on_use_and_not_on_start(url):
    configured = settings("http://127.0.0.1").model_copy(update={"url": url})
    async with SourceHttp("Tempo", configured) as http:
        with pytest.raises(SourceRefused) as caught:
            await http.get("/api/echo", operation="echo")
        assert http.health.last_error == str(caught.value)
    assert str(caught.value).startswith("Tempo cannot be asked: its address ")
    assert "p@" not in str(caught.value)


@pytest.mark.parametrize("fault", [*TABLE, "echo"])
@pytest.mark.parametrize("style", ["basic", "bearer"])
async def test_no_secret_leaves_in_an_error_or_a_log(fault, style, caplog):
    caplog.set_level(0)
    token = {"bearer_token": CANARIES[1], "username": ""} if style == "bearer" else {}
    async with FaultServer(says(b"") if fault == "echo" else fault) as server:
        if fault == "echo":  # a proxy that repeats the request in its error page

            async def repeat(writer: asyncio.StreamWriter) -> None:
                writer.write(answer(b"you sent: " + server.heads[-1], status="400 Bad Request", kind="text/plain"))

            server._handler = repeat
        with pytest.raises(SourceError) as caught:
            await ask(settings(server.url, **token, **deadline(fault)))
        sent = b"".join(server.heads)
    assert CANARIES[2].encode() in sent
    encoded = sent.partition(b"Basic ")[2].partition(b"\r\n")[0].decode() or "no basic"
    error = caught.value
    said = "\n".join([str(error), error.detail, repr(error), *(record.getMessage() for record in caplog.records)])
    for secret in (*CANARIES, encoded):
        assert secret not in said
    if fault == "echo":
        assert "•••" in error.detail
        assert "\n" not in error.detail


async def test_a_refused_query_says_why():
    raw = answer(b"invalid TraceQL query: parse error at line 1, col 12", status="400 Bad Request", kind="text/plain")
    async with FaultServer(says(raw)) as server:
        with pytest.raises(SourceRefused) as caught:
            await ask(settings(server.url))
        assert server.requests == 1
    assert caught.value.status == 400
    assert str(caught.value) == "Tempo refuses the request (400): invalid TraceQL query: parse error at line 1, col 12."


@pytest.mark.parametrize(
    ("fault", "requests"),
    [("unavailable_503", 2), ("error_500_html", 1), ("busy_429", 1), ("unauthorised", 1), ("reset", 1), ("html_200", 1)],
)
async def test_only_what_may_pass_is_tried_again(fault, requests):
    """A 429 that asks for longer than the deadline is not worth waiting for."""
    async with FaultServer(fault) as server:
        with pytest.raises(SourceError):
            await ask(settings(server.url))
        assert server.requests == requests


async def test_a_second_try_that_succeeds_is_an_answer():
    async with FaultServer("fine") as server:
        fine = server._handler

        async def at_first_busy(writer: asyncio.StreamWriter) -> None:
            busy = answer(b"", status="429 Too Many Requests", Retry_After="0")
            await (says(busy) if server.requests == 1 else fine)(writer)

        server._handler = at_first_busy
        assert (await ask(settings(server.url))).traces == []
        assert server.requests == 2


async def test_a_client_certificate_that_cannot_be_read_is_told_on_use(tmp_path):
    missing = tmp_path / "none.pem"
    for field, word in (("ca_file", "CA file"), ("client_cert_file", "client certificate")):
        async with SourceHttp("Tempo", settings("https://127.0.0.1:1", **{field: missing})) as http:
            with pytest.raises(SourceRefused, match=word):
                await http.get("/", operation="echo")


async def test_a_secret_that_cannot_be_a_header_is_not_repeated():
    async with SourceHttp("Tempo", settings("http://127.0.0.1:1", bearer_token="t0ken-canary\r\nHost: evil")) as http:
        with pytest.raises(SourceRefused) as caught:
            await http.get("/", operation="echo")
    assert "canary" not in str(caught.value)
    assert "Authorization" in str(caught.value)
