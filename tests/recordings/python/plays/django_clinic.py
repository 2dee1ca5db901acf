"""Django with Django REST framework (tokens, permissions, throttles), Django's own decorators, and psycopg on PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import Any

from family import CLIENT, OLD, SHOP, STABLE, Caller
from kit.stage import At, Stage
from kit.stores import Store, postgres

USES = ("Django", "djangorestframework", "psycopg", "waitress")
OWN = {"outcome": "denied", "layer": "application", "enforced_by": "clinic"}


def perform(stage: Stage) -> None:
    with postgres(SHOP) as database:
        stage.uses(database.versions)
        mary, nobody = Caller(f"Token {token(stage, database)}"), Caller("Token 0123456789")
        for spelling, convention in (("old", OLD), ("stable", STABLE)):
            given = {"DJANGO_SETTINGS_MODULE": "clinic_settings", "DATABASE_PORT": database.port, **convention}
            clinic = stage.tools.wsgi(stage, "clinic", "clinic:application", uses=USES, **given)
            rest(stage, clinic, spelling, mary, nobody)
            pages(stage, clinic, spelling)
            if spelling == "old":
                stage.stop(clinic)
        database.process.send_signal(signal.SIGINT)
        database.process.wait(20)
        record(
            stage, "drf-database-down", mary.get(clinic, "/api/visits/"), 500, outcome="error",
            layer=["database", "application"], span=At("clinic", "GET api/visits/"),
            no_findings=["fail_closed", "masked_denial"],
            why="PostgreSQL was stopped: the token cannot be looked up, and Django crashes with OperationalError.",
        )  # fmt: skip


def rest(stage: Stage, clinic: Any, spelling: str, mary: Caller, nobody: Caller) -> None:
    visits, rows = "/api/visits/", "/api/rows/"
    record(
        stage, f"drf-allowed-{spelling}", mary.get(clinic, visits), 200, outcome="no_auth_evidence", layer=None,
        no_findings=["fail_open"], why="Token and permission were good; Django's instrumentation has no spans of either.",
    )  # fmt: skip
    record(
        stage, f"drf-no-token-{spelling}", Caller().get(clinic, visits), 401, **OWN, phase="authn", confidence=["medium"],
        span=At("clinic", "GET api/visits/"), why="IsAuthenticated refuses a request without a token, before any query.",
    )  # fmt: skip
    record(
        stage, f"drf-unknown-token-{spelling}", nobody.get(clinic, visits), 401, **OWN, phase="authn", confidence=["medium"],
        span=At("clinic", "GET api/visits/"), why="TokenAuthentication finds no row with this token and answers 401.",
    )  # fmt: skip
    record(
        stage, f"drf-permission-{spelling}", mary.post(clinic, visits, {"item": "plaster"}), 403, **OWN, phase="authz",
        confidence=["medium"], span=At("clinic", "POST api/visits/"), no_findings=["side_effect_before_denial"],
        why="MayAdd asks for the permission add_visit, which Mary has not.",
    )  # fmt: skip
    record(
        stage, f"drf-row-policy-{spelling}", mary.post(clinic, rows, {}), 500, outcome="denied", layer="database",
        phase="authz", span=At("clinic", "INSERT"), reason="row-level security", confidence=["high"],
        findings=["status_rewritten"], no_findings=["side_effect_before_denial"],
        why="The policy own_tenant forbids the row; nothing catches Django's ProgrammingError, so the client sees a 500.",
    )  # fmt: skip
    table = {"db.query.text" if spelling == "stable" else "db.statement": "SELECT sum(total) FROM ledger"}
    record(
        stage, f"drf-privilege-{spelling}", mary.get(clinic, rows), 500, outcome="denied", layer="database", phase="authz",
        span=At("clinic", "SELECT", where=table), reason="permission denied for table ledger", confidence=["high"],
        findings=["status_rewritten"], why="The role shop has no grant on ledger; the client sees a 500.",
    )  # fmt: skip
    stage.send(mary.get(clinic, "/api/quotes/"))
    time.sleep(1)
    record(
        stage, f"drf-throttled-{spelling}", mary.get(clinic, "/api/quotes/"), 429, outcome="denied", layer="rate_limiter",
        span=At("clinic", "GET api/quotes/"), why="ScopedRateThrottle allows one request an hour; this was the second.",
    )  # fmt: skip
    record(
        stage, f"drf-written-before-{spelling}", mary.post(clinic, "/api/discharge/", {}), 403, **OWN, phase="authz",
        span=At("clinic", "POST api/discharge/"), findings=["side_effect_before_denial"],
        side_effects=[["db_write", "before_denial"]],
        why="The note is inserted and committed before PermissionDenied is raised, which Django REST framework handles.",
    )  # fmt: skip


def pages(stage: Stage, clinic: Any, spelling: str) -> None:
    anyone = Caller()
    record(
        stage, f"django-permission-denied-{spelling}", anyone.get(clinic, "/ward/"), 403, **OWN, phase="authz",
        confidence=["high"], span=At("clinic", "GET ward/"), reason="closed to visitors",
        why="The view raises PermissionDenied, which the instrumentation keeps as an exception event.",
    )  # fmt: skip
    record(
        stage, f"django-login-required-{spelling}", anyone.get(clinic, "/account/"), 302, outcome="no_auth_evidence",
        layer=None, no_findings=["masked_denial"],
        why="login_required redirects to the login page; where to is in no attribute, and a redirect alone proves nothing.",
    )  # fmt: skip
    record(
        stage, f"django-csrf-{spelling}", anyone.form(clinic, "/contact/", "text=hello"), 403, **OWN, confidence=["medium"],
        span=At("clinic", "POST contact/"),
        why="CsrfViewMiddleware refuses a form without its token and answers 403, without an exception.",
    )  # fmt: skip
    record(
        stage, f"django-hidden-{spelling}", anyone.get(clinic, "/hidden/"), 404, outcome="no_auth_evidence", layer=None,
        no_findings=["masked_denial"],
        why="The view says 404 to those who are not logged in; nothing in the trace tells this from a page that is not there.",
    )  # fmt: skip


def token(stage: Stage, database: Store) -> str:
    """Mary's, made with her by the owner of the database."""
    given = {"DATABASE_PORT": str(database.port), "DATABASE_USER": "owner", "DATABASE_PASSWORD": "owner"}
    done = subprocess.run(
        [stage.tools.programs / "python", "clinic_setup.py"], cwd=stage.tools.services, check=True, capture_output=True,
        text=True, env={"PATH": os.environ["PATH"], **given},
    )  # fmt: skip
    return done.stdout.strip()


def record(stage: Stage, name: str, request: Any, status: int, **label: Any) -> None:
    stage.record(name, request, expect=status, entry_status=status, client_address=CLIENT, **label)
