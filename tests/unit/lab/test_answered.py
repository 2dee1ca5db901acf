"""An unexpected error of a sample service costs its caller one 500, not the connection."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from support.browser import serving

from app.lab.services.answered import Answered


async def fails(request):
    raise RuntimeError("permission denied for table ledger")


def answers(connection):
    connection.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
    received = b""
    while b"Internal Server Error" not in received:
        piece = connection.recv(65536)
        if not piece:
            return False
        received += piece
    return received.startswith(b"HTTP/1.1 500")


def test_a_caller_may_ask_again_on_the_same_connection_after_a_500():
    with serving(Answered(Starlette(routes=[Route("/", fails)]))) as address:
        port = urlsplit(address).port
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            assert [answers(connection) for _ in range(3)] == [True, True, True]


async def test_an_error_without_an_answer_is_not_hidden():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("gone in the middle")

    async def send(message):
        pass

    with pytest.raises(RuntimeError, match="gone in the middle"):
        await Answered(app)({"type": "http"}, None, send)
