"""express-oauth2-jwt-bearer and the keys of an oidc-provider: audience, scope, and keys that cannot be had."""

from __future__ import annotations

import json

from kit.stage import At, Service, Stage, closed_port
from plays.identity import form

USES = ("express-oauth2-jwt-bearer", "express", "oidc-provider", "@opentelemetry/auto-instrumentations-node")


def perform(stage: Stage) -> None:
    issuer = stage.tools.start(stage, "issuer", "issuer.mjs", uses=USES)
    vault = stage.tools.start(stage, "vault", "vault.js", uses=USES, KEYS=f"{issuer.url}/jwks")
    reader, stranger = (
        {"Authorization": f"Bearer {_token(stage, issuer, audience)}"} for audience in ("urn:vault", "urn:other")
    )  # fmt: skip
    stage.record(
        "bearer-allowed", vault.get("/secrets", **reader), expect=200,
        outcome=["allowed", "no_auth_evidence"], entry_status=200, no_findings=["masked_denial", "fail_open"],
        why="The vault fetches the issuer's keys and verifies a genuine token for its own audience.",
    )  # fmt: skip
    stage.record(
        "bearer-missing", vault.get("/secrets"), expect=401,
        outcome="denied", layer="application", phase="authn", span=At("vault", "middleware - <anonymous>"), entry_status=401,
        why="auth() demands a token, and the request has none.",
    )  # fmt: skip
    stage.record(
        "bearer-audience", vault.get("/secrets", **stranger), expect=401,
        outcome="denied", layer="application", phase="authn", span=At("vault", "middleware - <anonymous>"),
        reason="aud", entry_status=401,
        why="auth() verifies the audience urn:vault, and the token was issued for urn:other.",
    )  # fmt: skip
    stage.record(
        "bearer-scope", vault.post("/keys", **reader), expect=403,
        outcome="denied", layer="application", phase="authz", span=At("vault", "middleware - <anonymous>", nth=1),
        reason="Insufficient Scope", entry_status=403,
        why="requiredScopes('vault:write') before /keys refuses a token that only reads.",
    )  # fmt: skip
    astray = stage.tools.start(stage, "vault-astray", "vault.js", uses=USES, KEYS=f"http://127.0.0.1:{closed_port()}/jwks")
    stage.record(
        "bearer-keys-unreachable", astray.get("/secrets", **reader), expect=401,
        outcome="error", layer="identity_provider", service="vault-astray", entry_status=401, findings=["fail_closed"],
        why="Nobody listens where the vault fetches the keys, and auth() answers 401 to a genuine token.",
    )  # fmt: skip
    fresh = stage.tools.start(stage, "vault-fresh", "vault.js", uses=USES, KEYS=f"{issuer.url}/jwks")
    issuer.freeze()
    stage.record(
        "bearer-keys-hang", fresh.get("/secrets", **reader), expect=401,
        outcome="error", layer="identity_provider", service="vault-fresh", entry_status=401, findings=["fail_closed"],
        why="The issuer is stopped in its tracks; auth() waits for the keys and answers 401 to a genuine token.",
    )  # fmt: skip
    issuer.thaw()


def _token(stage: Stage, issuer: Service, audience: str) -> str:
    fields = {"grant_type": "client_credentials", "resource": audience, "scope": "vault:read"}
    _, _, body = stage.send(form(issuer, "/token", "reader:reader-secret", **fields))
    token: str = json.loads(body)["access_token"]
    return token
