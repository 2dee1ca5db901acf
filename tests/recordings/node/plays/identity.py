"""oidc-provider as identity provider, a portal that introspects, and passport's local login with its sessions."""

from __future__ import annotations

import base64
import json
import urllib.parse
from dataclasses import replace

from kit.stage import At, Request, Service, Stage

PROVIDER = ("oidc-provider", "koa", "express", "@opentelemetry/auto-instrumentations-node")
ACCOUNTS = ("passport", "passport-local", "express-session", "express", "@opentelemetry/auto-instrumentations-node")
LOGIN = ["identity_provider", "application"]


def form(service: Service, path: str, client: str, **fields: str) -> Request:
    """A form of a client that names itself and its secret by HTTP Basic."""
    request = service.post(path, Authorization=f"Basic {base64.b64encode(client.encode()).decode()}")
    headers = {**request.headers, "Content-Type": "application/x-www-form-urlencoded"}
    return replace(request, headers=headers, body=urllib.parse.urlencode(fields).encode())


def perform(stage: Stage) -> None:
    node = stage.tools
    identity = node.start(stage, "identity", "identity.mjs", uses=PROVIDER)
    grant = {"grant_type": "client_credentials"}
    stage.record(
        "oidc-token-issued", form(identity, "/token", "reporter:reporter-secret", **grant), expect=200,
        outcome=["allowed", "no_auth_evidence"], entry_status=200, no_findings=["masked_denial"],
        why="The client reporter proves itself with its secret and is given a token.",
    )  # fmt: skip
    stage.record(
        "oidc-bad-client", form(identity, "/token", "reporter:guessed", **grant), expect=401,
        outcome="denied", layer="identity_provider", phase="authn", service="identity", entry_status=401,
        why="oidc-provider refuses the client reporter, whose secret is wrong: invalid_client.",
    )  # fmt: skip
    _, _, body = stage.send(form(identity, "/token", "reporter:reporter-secret", **grant))
    reporter = {"Authorization": f"Bearer {json.loads(body)['access_token']}"}
    portal = node.start(stage, "portal", "portal.js", IDENTITY=identity.url, CLIENT_SECRET="portal-secret")
    stage.record(
        "oidc-introspection-active", portal.get("/reports", **reporter), expect=200,
        outcome="allowed", entry_status=200, no_findings=["fail_open", "side_effect_before_denial"],
        why="oidc-provider calls the token active, and the portal's middleware goes on.",
    )  # fmt: skip
    stage.record(
        "oidc-introspection-inactive", portal.get("/reports", Authorization="Bearer revoked-long-ago"), expect=401,
        outcome=["denied", "inconclusive"], entry_status=401, no_findings=["fail_closed", "side_effect_before_denial"],
        why="oidc-provider answers 200 with active=false, and the portal's middleware introspect makes a 401 of it.",
    )  # fmt: skip
    drifted = node.start(stage, "portal-drifted", "portal.js", IDENTITY=identity.url, CLIENT_SECRET="rotated-away")
    stage.record(
        "oidc-portal-refused", drifted.get("/reports", **reporter), expect=502,
        outcome="denied", layer="identity_provider", phase="authn", service="identity", entry_status=502,
        findings=["status_rewritten"],
        why="oidc-provider refuses the portal itself, which introspects with a secret that is no longer valid.",
    )  # fmt: skip
    nightly = node.start(stage, "nightly", "nightly.js", IDENTITY=identity.url, PORTAL=portal.url)
    stage.record(
        "oidc-token-renewed", nightly.get("/run"), expect=200,
        outcome="allowed", entry_status=200, findings=["retried"],
        no_findings=["fail_open", "side_effect_after_denial", "clock_skew"],
        why="The token of yesterday is refused; nightly is given a new one and the same request is served.",
    )  # fmt: skip
    identity.freeze()
    stage.record(
        "oidc-hangs", portal.get("/reports", **reporter), expect=401,
        outcome="error", layer="identity_provider", service="portal", entry_status=401, findings=["fail_closed"],
        why="oidc-provider is stopped in its tracks; the portal waits two seconds and answers 401.",
    )  # fmt: skip
    identity.thaw()
    stage.stop(identity)
    stage.record(
        "oidc-down", portal.get("/reports", **reporter), expect=401,
        outcome="error", layer="identity_provider", service="portal", entry_status=401, findings=["fail_closed"],
        why="oidc-provider has been stopped; the portal answers 401 to every token it cannot check.",
    )  # fmt: skip

    accounts = node.start(stage, "accounts", "accounts.js", uses=ACCOUNTS)
    vera = {"username": "vera", "password": "vera-secret"}
    stage.record(
        "passport-login", accounts.post("/login", vera), expect=200,
        outcome=["allowed", "no_auth_evidence"], entry_status=200, absent=["vera-secret"],
        why="passport's local strategy knows vera and her password.",
    )  # fmt: skip
    stage.record(
        "passport-wrong-password", accounts.post("/login", {**vera, "password": "guessed"}), expect=401,
        outcome="denied", layer=LOGIN, phase="authn",
        span=At("accounts", "request handler - /login", where={"router.name": "authenticate"}), entry_status=401,
        why="passport's local strategy, given at the login route, refuses the password.",
    )  # fmt: skip
    stage.record(
        "passport-sent-to-login", accounts.get("/profile"), expect=302,
        outcome=["denied", "inconclusive", "no_auth_evidence"], entry_status=302,
        why="requireLogin at the route redirects a browser without a session; no span holds where to.",
    )  # fmt: skip
