"""What a source's host name may lead to, and that what is judged is what is dialled."""

import asyncio
import socket

import pytest

from app.errors import SourceError, SourceUnavailable
from app.settings import SourceSettings
from app.sources.address import refusal
from app.sources.http import SourceHttp


@pytest.mark.parametrize(
    ("host", "ip"),
    [
        ("tempo.monitoring.svc", "10.42.0.7"),
        ("tempo", "192.168.1.20"),
        ("tempo-prod.grafana.example", "203.0.113.9"),
        ("tempo", "fd12:3456::7"),
        ("localhost", "127.0.0.1"),
        ("LOCALHOST.", "::1"),
        ("tempo.localhost", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.53", "127.0.0.53"),
        ("::1", "::1"),
        ("10.0.0.1", "10.0.0.1"),
    ],
)
def test_where_sources_live_is_permitted(host, ip):
    assert refusal(host, ip) == ""


@pytest.mark.parametrize(
    ("host", "ip"),
    [
        ("169.254.169.254", "169.254.169.254"),
        ("metadata.google.internal", "169.254.169.254"),
        ("anything", "fe80::1"),
        ("anything", "fd00:ec2::254"),
        ("anything", "100.100.100.200"),
        ("anything", "168.63.129.16"),
        ("anything", "224.0.0.1"),
        ("anything", "ff02::1"),
        ("anything", "240.0.0.1"),
        ("anything", "255.255.255.255"),
        ("0.0.0.0", "0.0.0.0"),
        ("0", "0.0.0.0"),
        ("::", "::"),
        ("rebound.example", "127.0.0.1"),
        ("rebound.example", "::1"),
        ("localhost.evil.example", "127.0.0.1"),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1"),
        ("::ffff:169.254.169.254", "::ffff:169.254.169.254"),
        ("2002:7f00:1::", "2002:7f00:1::"),
        ("64:ff9b::a9fe:a9fe", "64:ff9b::a9fe:a9fe"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("167772161", "10.0.0.1"),
        ("0xa.0.0.1", "10.0.0.1"),
    ],
)
def test_what_no_source_is_behind_is_refused_with_a_reason(host, ip):
    assert refusal(host, ip)


async def canary() -> tuple[asyncio.Server, list[str]]:
    reached: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append("reached")
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0), reached


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.1", "0", "[::ffff:127.0.0.1]", "[::]"]
)
async def test_no_spelling_of_this_machine_reaches_a_canary(host):
    server, reached = await canary()
    async with server:
        port = server.sockets[0].getsockname()[1]
        settings = SourceSettings.model_validate({"url": f"http://{host}:{port}", "timeout_s": 3})
        async with SourceHttp("Tempo", settings) as http:
            with pytest.raises(SourceError, match=r"does not connect to Tempo|not a valid URL"):
                await http.get("/", operation="echo")
    assert reached == []


async def test_a_name_that_turns_to_another_address_is_resolved_once(monkeypatch):
    """A rebinding resolver answers the check with a good address and the connection with a bad one."""
    server, reached = await canary()
    async with server:
        port = server.sockets[0].getsockname()[1]
        real = socket.getaddrinfo
        answers = ["192.0.2.1", "127.0.0.1"]

        def rebinding(host, *args, **kwargs):
            if host == "tempo.example":
                return real(answers.pop(0), *args, **kwargs)
            return real(host, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        settings = SourceSettings.model_validate(
            {"url": f"http://tempo.example:{port}", "connect_timeout_s": 0.2, "timeout_s": 3, "attempts": 1}
        )
        async with SourceHttp("Tempo", settings) as http:
            with pytest.raises(SourceUnavailable):
                await http.get("/", operation="echo")
            assert answers == ["127.0.0.1"]
            with pytest.raises(SourceUnavailable, match="this machine"):
                await http.get("/", operation="echo")
    assert reached == []


async def test_one_forbidden_address_among_good_ones_is_enough(monkeypatch):
    def two(host, port, *args, **kwargs):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("192.0.2.1", "169.254.169.254")]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    settings = SourceSettings.model_validate({"url": "http://tempo.example:3200", "timeout_s": 3})
    async with SourceHttp("Tempo", settings) as http:
        with pytest.raises(SourceUnavailable, match="metadata service"):
            await http.get("/", operation="echo")
