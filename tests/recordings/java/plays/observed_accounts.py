"""Spring Security with users in PostgreSQL, observed: Basic for programs, a form for people, a lock after three failures."""

from __future__ import annotations

from kit.stage import At, Request, Service, Stage
from kit.stores import postgres
from shop import CLIENT, SCHEMA, basic, database, login

AUTHENTICATE = At("accounts", "authenticate usernamepassword")
AUTHORIZE = At("accounts", "authorize request")  # the first: a second one may be that of the error page
REFUSED = {"outcome": "denied", "layer": "application", "enforced_by": "accounts"}
AUTHN = REFUSED | {"phase": "authn", "confidence": "high", "span": AUTHENTICATE}
# The failure that the lock-out counts is a record of the refusal itself.
RECORDED = {"no_findings": ["side_effect_before_denial", "side_effect_after_denial", "fail_open"]}


def perform(stage: Stage) -> None:
    with postgres(SCHEMA) as store:
        stage.uses(store.versions)
        accounts = stage.tools.observed(stage, "accounts", **database(store.port))
        programs(stage, accounts)
        people(stage, accounts)
    stage.record(
        "observed-user-store-down", ask(accounts, "/api/profile", "bob"), expect=401,
        outcome="error", layer="database", span=At("accounts", "connection"), entry_status=401, findings=["fail_closed"],
        why="PostgreSQL, where the users are, was stopped; Basic authentication answers an unreachable user store with 401.",
    )  # fmt: skip


def programs(stage: Stage, accounts: Service) -> None:
    stage.record(
        "observed-basic-allowed", ask(accounts, "/api/users", "mary"), expect=200,
        outcome="allowed", entry_status=200, layers=[["application", "allow"]], confidence="high",
        no_findings=["fail_open", "masked_denial"],
        why="mary's password is right and she has the role ADMIN that /api/users asks for.",
    )  # fmt: skip
    stage.record(
        "observed-basic-wrong-password", ask(accounts, "/api/profile", "bob", "wrong"), expect=401,
        **AUTHN, **RECORDED, reason="bad credentials", entry_status=401,
        why="The password is not bob's; DaoAuthenticationProvider says BadCredentialsException, and the failure is counted.",
    )  # fmt: skip
    stage.record(
        "observed-basic-unknown-user", ask(accounts, "/api/profile", "nobody"), expect=401,
        **AUTHN, **RECORDED, reason="bad credentials", entry_status=401,
        why="There is no such user; Spring Security hides that behind BadCredentialsException.",
    )  # fmt: skip
    stage.record(
        "observed-basic-disabled", ask(accounts, "/api/profile", "dora"), expect=401,
        **AUTHN, reason="disabled", entry_status=401,
        why="dora's row says enabled = false; the password would have been right.",
    )  # fmt: skip
    stage.record(
        "observed-basic-locked", ask(accounts, "/api/profile", "lena"), expect=401,
        **AUTHN, reason="locked", entry_status=401,
        why="lena's three failures are counted in login_attempts, which makes her account a locked one.",
    )  # fmt: skip
    stage.record(
        "observed-basic-role", ask(accounts, "/api/users", "bob"), expect=403,
        **REFUSED, phase="authz", confidence="high", span=AUTHORIZE, entry_status=403,
        why="The rule requestMatchers(/api/users).hasRole(ADMIN) refuses bob, whose only authority is ROLE_USER.",
    )  # fmt: skip
    stage.record(
        "observed-firewall", accounts.get("/api/profile;a=b", Authorization=basic("bob")), expect=400,
        outcome="denied", layer="edge_waf", enforced_by="accounts", entry_status=400, reason="malicious",
        span=At("accounts", "http get /api/profile"),
        why="StrictHttpFirewall rejects a URL with a semicolon before any filter runs; RequestRejectedException becomes 400.",
    )  # fmt: skip


def people(stage: Stage, accounts: Service) -> None:
    stage.record(
        "observed-form-login", login(stage, accounts, "bob"), expect=302,
        outcome="allowed", entry_status=302, confidence="high", no_findings=["masked_denial", "fail_open"],
        why="bob's password is right; the form login answers with a redirect to the page he wanted.",
    )  # fmt: skip
    stage.record(
        "observed-form-wrong-password", login(stage, accounts, "bob", "wrong"), expect=302,
        **AUTHN, no_findings=RECORDED["no_findings"], findings=["masked_denial"], reason="bad credentials", entry_status=302,
        why="The password is not bob's; the form login hides the refusal in a redirect to /login?error.",
    )  # fmt: skip
    stage.record(
        "observed-form-locked", login(stage, accounts, "lena"), expect=302,
        **AUTHN, findings=["masked_denial"], reason="locked", entry_status=302,
        why="lena's account is locked after three failures; the form login answers with a redirect to /login?error.",
    )  # fmt: skip
    stage.record(
        "observed-anonymous", accounts.get("/profile", X_Forwarded_For=CLIENT), expect=302,
        **REFUSED, phase="authn", span=AUTHORIZE, findings=["masked_denial"], entry_status=302,
        why="Nobody is logged in: anyRequest().authenticated() refuses the anonymous token, answered by a redirect to /login.",
    )  # fmt: skip
    stage.record(
        "observed-csrf", accounts.post("/profile", X_Forwarded_For=CLIENT), expect=403,
        **REFUSED, phase="authn", span=At("accounts", "security filterchain before"), entry_status=403,
        why="A POST without the session's CSRF token: CsrfFilter, the last filter reached, refuses it.",
    )  # fmt: skip


def ask(accounts: Service, path: str, name: str, password: str = "right") -> Request:
    return accounts.get(path, Authorization=basic(name, password), X_Forwarded_For=CLIENT)
