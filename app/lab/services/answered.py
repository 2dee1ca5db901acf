"""Keeps a connection open after an answer of 500.

The framework answers an unexpected error with 500 and raises it again; the server then closes the connection, and a caller
that takes it from its pool in that very moment loses its next request. The error is on the span and in the log by then.
"""

from __future__ import annotations

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger("clew.lab")


class Answered:
    """An app whose unexpected errors end with their answer. Errors without an answer are raised as they are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        complete = False

        async def watch(message: Message) -> None:
            nonlocal complete
            await send(message)
            complete = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            if not complete:
                raise
            _log.exception("unexpected error, answered with 500")
