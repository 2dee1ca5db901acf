"""One router per area: ask, call one verb, render. Every router of the app is listed here, and nowhere else."""

from __future__ import annotations

from fastapi import APIRouter

from app.web.routes import (
    alerts,
    api,
    api_alerts,
    api_cases,
    api_rules,
    auth,
    case_add,
    case_evidence,
    case_notes,
    case_timeline,
    cases,
    contrast,
    coverage,
    front,
    health,
    hooks,
    overview,
    patterns,
    rules,
    runbooks,
    search,
    static,
    traces,
)

ROUTERS: tuple[APIRouter, ...] = (
    front.router,
    auth.router,
    health.router,
    static.router,
    patterns.router,
    alerts.router,
    overview.router,
    hooks.router,
    runbooks.router,
    traces.router,
    contrast.router,
    search.router,
    coverage.router,
    rules.router,
    case_add.router,  # before cases: its address looks like a case's
    cases.router,
    case_timeline.router,
    case_evidence.router,
    case_notes.router,
    api.router,
    api_alerts.api,
    overview.api,
    traces.api,
    contrast.api,
    search.api,
    coverage.api,
    api_cases.router,
    api_rules.router,
)

# The places of the top bar, in order. Those whose page does not exist are left out when the app is put together.
PLACES: tuple[tuple[str, str], ...] = (
    ("Alerts", "/alerts"),
    ("Overview", "/overview"),
    ("Search", "/search"),
    ("Cases", "/cases"),
    ("Coverage", "/coverage"),
    ("Rules", "/rules"),
)
