"""The one place where the parts are plugged together, opened, and closed again."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

import app
from app import paths
from app.db import migrate
from app.db.session import Database
from app.security import proxies
from app.settings import Settings
from app.web import errors, render
from app.web.assets import Assets
from app.web.clients import Clients
from app.web.deps import Access
from app.web.middleware import Context, Origin, Rescue
from app.web.routes import PLACES, ROUTERS

_LARGEST_BODY = 32 * 2**20  # an uploaded evidence file; smaller bounds stand with their routes


def create_app(settings: Settings) -> FastAPI:
    """The web application. The database is brought up to date, or refused, when it starts.

    Errors: InvalidInput for settings that contradict themselves; at start, SchemaMismatch.
    """

    @asynccontextmanager
    async def lifespan(application: FastAPI) -> AsyncIterator[None]:
        await migrate.prepare(settings.database)
        application.state.database = Database(settings.database)
        application.state.clients = Clients.of(settings)
        # Large traces make many objects that live: with the default thresholds the collector would walk them all the time.
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        try:
            yield
        finally:
            await application.state.clients.close()
            await application.state.database.close()

    application = FastAPI(
        title="Clew",
        version=app.__version__,
        summary="Forensics for authentication and authorization traces",
        openapi_url=None,  # served by routes/api.py, to people who are signed in
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        max_body_size=_LARGEST_BODY,
    )
    application.state.settings = settings
    application.state.assets = Assets(paths.folder("static"))
    application.state.templates = render.environment(paths.folder("templates"), application.state.assets)
    for router in ROUTERS:
        application.include_router(router)
    errors.install(application)
    known = {route.path for route in routes(application)}
    application.state.places = tuple((label, href) for label, href in PLACES if href in known)

    public_host = urlsplit(settings.web.public_url).netloc
    # Added last, wraps first: a request passes Context, Rescue, Origin.
    application.add_middleware(Origin, trusted_hosts={public_host} if public_host else set(), answer=errors.answer)
    application.add_middleware(Rescue, answer=errors.answer)
    application.add_middleware(Context, trusted=proxies.networks(settings.security.trusted_proxies))

    undeclared = [f"{sorted(route.methods or ())} {route.path}" for route in routes(application) if access(route) is None]
    if undeclared:
        raise RuntimeError(f"these routes do not say who may call them: {', '.join(undeclared)}")
    return application


def routes(application: FastAPI) -> list[APIRoute]:
    """Every route of the app."""
    return [route for route in application.routes if isinstance(route, APIRoute)]


def access(route: APIRoute) -> Access | None:
    """What a route declares about who may call it; None where it says nothing."""

    def search(dependant: Dependant) -> Access | None:
        if isinstance(dependant.call, Access):
            return dependant.call
        return next((found for inner in dependant.dependencies if (found := search(inner))), None)

    return search(route.dependant)
