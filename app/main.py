"""The one place where the parts are plugged together, opened, and closed again."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

import app
from app import paths
from app.analysis import rulebook
from app.analysis.rulebook import RuleBook
from app.db import migrate
from app.db.session import Database
from app.doctor import gather
from app.doctor.report import Report
from app.doctor.store import open_cases
from app.house.live import LiveRules
from app.investigation import labels
from app.investigation.judging import judge_of
from app.investigation.opened import OpenTraces
from app.investigation.overview.service import Overview
from app.investigation.searching import Searching
from app.investigation.service import Investigation
from app.investigation.sources import Sources
from app.security import proxies
from app.settings import Settings
from app.times import Nanos, UnixNanos, now_ns
from app.web import errors, render
from app.web.assets import Assets
from app.web.checkups import Checkups, Examine
from app.web.clients import Clients
from app.web.deps import Access
from app.web.middleware import BodyLimit, Context, Origin, Rescue
from app.web.routes import PLACES, ROUTERS
from app.web.uploads import Uploads

_LARGEST_BODY = 32 * 2**20  # room for an uploaded evidence file


def create_app(settings: Settings) -> FastAPI:
    """The web application. The database is brought up to date, or refused, when it starts.

    Errors: InvalidInput for settings that contradict themselves and for a house file that is wrong (with its line); at
            start, SchemaMismatch.
    """

    @asynccontextmanager
    async def lifespan(application: FastAPI) -> AsyncIterator[None]:
        await migrate.prepare(settings.database)
        application.state.database = Database(settings.database)
        application.state.clients = Clients.of(settings)
        application.state.investigation = investigation(application)
        open_traces(application)
        application.state.rules = live_rules(application)
        await application.state.rules.refresh()
        application.state.rules.watch()
        application.state.checkups = Checkups(doctor(application))
        try:
            yield
        finally:
            await application.state.rules.close()
            await application.state.checkups.close()
            if application.state.searching is not None:
                await application.state.searching.close()
            await application.state.overview.close()
            await application.state.investigation.close()
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
        redirect_slashes=False,
    )
    application.state.settings = settings
    application.state.judge = judge_of(settings.analysis)
    application.state.labels = labels.load(settings.analysis.labels_file)
    application.state.assets = Assets(paths.folder("static"))
    application.state.templates = render.environment(paths.folder("templates"), application.state.assets)
    for router in ROUTERS:
        application.include_router(router)
    errors.install(application)
    table = endpoints(application)
    known = {endpoint.path for endpoint in table}
    application.state.places = tuple((label, href) for label, href in PLACES if href in known)

    public_host = urlsplit(settings.web.public_url).netloc
    # Added last, wraps first: a request passes Context, Rescue, Origin, BodyLimit.
    application.add_middleware(BodyLimit, most=_LARGEST_BODY, answer=errors.answer)
    application.add_middleware(Origin, trusted_hosts={public_host} if public_host else set(), answer=errors.answer)
    application.add_middleware(Rescue, answer=errors.answer)
    application.add_middleware(Context, trusted=proxies.networks(settings.security.trusted_proxies))

    undeclared = [f"{' '.join(endpoint.methods)} {endpoint.path}" for endpoint in table if endpoint.access is None]
    if undeclared:
        raise RuntimeError(f"these routes do not say who may call them: {', '.join(undeclared)}")
    return application


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """A row of the route table. `access` is None where the route does not say who may call it."""

    path: str
    methods: tuple[str, ...]
    access: Access | None


def investigation(application: FastAPI) -> Investigation:
    """Alerts and the traces behind them, with this app's clients, database and rules."""
    clients: Clients = application.state.clients
    sources = Sources(clients.tempo, clients.prometheus, clients.alertmanager)
    state = application.state
    most_judged = state.settings.analysis.traces_per_alert
    return Investigation(sources, state.database, state.judge, state.labels, most_judged=most_judged)


def doctor(application: FastAPI) -> Examine:
    """The doctor's look at a time that ends now, with this app's clients and rules."""

    async def examine(length: Nanos) -> Report:
        state, now = application.state, now_ns()
        clients: Clients = state.clients
        sources = Sources(clients.tempo, clients.prometheus, clients.alertmanager)
        start = UnixNanos(now - length)
        async with state.database.reading() as db:
            cases = await open_cases(db)
        return await gather.examine(sources, state.judge, state.labels, start_ns=start, end_ns=now, now_ns=now, cases=cases)

    return examine


def live_rules(application: FastAPI) -> LiveRules:
    """The rules in force: those of files, and those of the database as they change."""
    state = application.state

    def apply(book: RuleBook) -> None:
        investigation: Investigation = state.investigation
        state.judge.use(book)
        state.traces.forget()
        if investigation.judgements is not None:
            investigation.judgements.forget()

    return LiveRules(state.database, rulebook.files_of(state.settings.analysis.rules_dir), state.judge.rules, apply)


def open_traces(application: FastAPI) -> None:
    """What the overview, trace and search pages stand on, with this app's clients and rules."""
    tempo = application.state.clients.tempo
    application.state.traces = OpenTraces(tempo.trace if tempo is not None else None, application.state.judge)
    application.state.uploads = Uploads()
    judgements = application.state.investigation.judgements
    application.state.overview = Overview(application.state.investigation.sources, judgements)
    application.state.searching = Searching(tempo, judgements) if tempo is not None and judgements is not None else None


def endpoints(application: FastAPI) -> list[Endpoint]:
    """Every route of the app. What is not a handler of ours (a mounted app, say) counts as undeclared."""

    def declared(dependant: Dependant | None) -> Access | None:
        if dependant is None:
            return None
        if isinstance(dependant.call, Access):
            return dependant.call
        return next((found for inner in dependant.dependencies if (found := declared(inner))), None)

    return [
        Endpoint(context.path or "", tuple(sorted(context.methods or ())), declared(getattr(context, "dependant", None)))
        for context in iter_route_contexts(application.routes)
    ]
