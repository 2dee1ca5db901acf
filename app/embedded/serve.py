"""The backend as a process: two ports, one event loop, a graceful stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Generator
from pathlib import Path

import uvicorn

from app.embedded.app import Backend
from app.embedded.store import Retention
from app.embedded.tempo_api import Switches
from app.errors import Conflict

STOP_S = 10


def listen(host: str, port: int, option: str) -> socket.socket:
    """A bound socket. Errors: Conflict names the port and the option that changes it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        reason = "is taken" if error.errno == 98 else f"cannot be used ({error.strerror})"
        raise Conflict(f"Port {port} on {host} {reason}; choose another with {option}.") from None
    return bound


def serve(
    otlp: socket.socket, query: socket.socket, data: Path, retention: Retention, switches: Switches, started: Callable[[], None]
) -> None:
    """Run until SIGINT or SIGTERM. What was accepted is committed before it returns. Errors: StoreError."""
    backend = Backend(data, retention, switches)
    try:
        with asyncio.Runner(loop_factory=_loop) as runner:
            runner.run(_serve(backend, otlp, query, started))
    finally:
        backend.close()


def _loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


async def _serve(backend: Backend, otlp: socket.socket, query: socket.socket, started: Callable[[], None]) -> None:
    servers = [_Server(_config(backend.otlp)), _Server(_config(backend.query))]
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    async with asyncio.TaskGroup() as group:
        for server, bound in zip(servers, (otlp, query), strict=True):
            group.create_task(server.serve(sockets=[bound]))
        for server in servers:
            await server.listening.wait()
        started()


class _Server(uvicorn.Server):
    """Two servers share one process: signals are handled once, above."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _config(application: object) -> uvicorn.Config:
    return uvicorn.Config(
        application,  # type: ignore[arg-type]
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        http="httptools",
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_S,
        backlog=256,
    )
