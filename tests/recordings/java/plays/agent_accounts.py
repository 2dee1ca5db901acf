"""Users in PostgreSQL under OpenTelemetry's Java agent: Basic for programs, a form for people, a lock after three failures."""

from __future__ import annotations

from kit.stage import At, Stage
from kit.stores import postgres
from shop import CLIENT, SCHEMA, basic, database, login

REFUSED = {
    "outcome": "denied", "layer": "application", "enforced_by": "accounts", "confidence": "medium", "client_address": CLIENT,
    "no_findings": ["side_effect_before_denial", "side_effect_after_denial", "fail_open"],
}  # fmt: skip


def perform(stage: Stage) -> None:
    with postgres(SCHEMA) as store:
        stage.uses(store.versions)
        accounts = stage.tools.agent(stage, "accounts", **database(store.port), SPRING_DATASOURCE_HIKARI_MINIMUMIDLE=1)
        stage.send(accounts.get("/api/users", Authorization=basic("mary")))
        for name, path, who, password, status, phase, why in (
            ("wrong-password", "/api/profile", "bob", "wrong", 401, "authn",
             "The password is not bob's; the failure is counted in login_attempts, and Basic authentication answers 401."),
            ("disabled", "/api/profile", "dora", "right", 401, "authn",
             "dora's row says enabled = false; the password would have been right."),
            ("locked", "/api/profile", "lena", "right", 401, "authn",
             "lena's three failures are counted in login_attempts, which makes her account a locked one."),
            ("role", "/api/users", "bob", "right", 403, "authz",
             "The rule requestMatchers(/api/users).hasRole(ADMIN) refuses bob, whose only authority is ROLE_USER."),
        ):  # fmt: skip
            stage.record(
                f"agent-basic-{name}", accounts.get(path, Authorization=basic(who, password), X_Forwarded_For=CLIENT),
                expect=status, **REFUSED, phase=phase, span=At("accounts", f"GET {path}"), entry_status=status, why=why,
            )  # fmt: skip
        stage.record(
            "agent-basic-allowed", accounts.get("/api/users", Authorization=basic("mary"), X_Forwarded_For=CLIENT), expect=200,
            outcome="no_auth_evidence", entry_status=200, client_address=CLIENT,
            why="mary's password is right and she is an ADMIN; the trace has reads of a user table and no word of a check.",
        )  # fmt: skip
        stage.record(
            "agent-form-wrong-password", login(stage, accounts, "bob", "wrong"), expect=302,
            outcome=["no_auth_evidence", "inconclusive"], entry_status=302,
            why="The password is not bob's; a form's redirect looks alike after a right and a wrong one, so nothing is shown.",
        )  # fmt: skip
        stage.record(
            "agent-csrf", accounts.post("/profile", X_Forwarded_For=CLIENT), expect=403,
            **REFUSED, span=At("accounts", "POST /profile"), entry_status=403,
            why="A POST without the session's CSRF token, which CsrfFilter refuses; the agent shows the 403 alone.",
        )  # fmt: skip
        stage.record(
            "agent-firewall", accounts.get("/api/profile;a=b", X_Forwarded_For=CLIENT), expect=400,
            outcome="no_auth_evidence", entry_status=400,
            why="StrictHttpFirewall rejects the semicolon before any filter; a bare 400 is no sign of authorization.",
        )  # fmt: skip
