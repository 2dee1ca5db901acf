"""`clew serve`: the web application."""

from __future__ import annotations

import asyncio
import socket
from typing import Annotated

import typer

from app.errors import InvalidInput


def register(app: typer.Typer) -> None:
    app.command()(serve)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to bind (CLEW_WEB__HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to bind (CLEW_WEB__PORT).")] = None,
) -> None:
    """Run the web application; settings come from CLEW_* variables and the file CLEW_CONFIG names."""
    import uvicorn

    from app.cli.settings import load
    from app.db import migrate
    from app.main import create_app
    from app.traces import garbage
    from app.web import logs

    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = load(web=given) if given else load()
    logs.configure()
    application = create_app(settings)
    # Done again when the app starts; done here first, so that a database that does not fit is a sentence.
    asyncio.run(migrate.prepare(settings.database))
    garbage.seldom()
    bound = _bind(settings.web.host, settings.web.port)
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            log_config=None,
            access_log=False,  # web/middleware.py writes one line a request, with its id
            server_header=False,
            proxy_headers=False,  # web/middleware.py believes trusted proxies only
            timeout_graceful_shutdown=10,
        )
    )
    shown = f"[{settings.web.host}]" if ":" in settings.web.host else settings.web.host
    typer.echo(f"Clew on http://{shown}:{bound.getsockname()[1]}")
    server.run(sockets=[bound])
    if not server.started:
        raise typer.Exit(3)


def _bind(host: str, port: int) -> socket.socket:
    """The listening socket; bound here so that a taken port gives a sentence."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise InvalidInput(
            f"Clew cannot listen on {host}, port {port}: {error.strerror or error}. Choose another: clew serve --port N"
        ) from None
    return bound
