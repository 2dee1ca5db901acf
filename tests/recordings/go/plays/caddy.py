"""Caddy's tracing before orders: basic_auth, an address rule, forward_auth, and refusals it only passes on."""

from __future__ import annotations

import base64
import subprocess

from family import CLIENT, HERE, ask
from kit.stage import At, Service, Stage, closed_port
from kit.stores import postgres
from kit.tokens import SECRET, bearer
from plays.http_chain import SCHEMA

USED = ("otelhttp", "otelpgx", "pgx/v5")
# A service that verifies tokens for others, or decides on what others are asked: the law knows both.
ASKED = ["identity_provider", "policy_engine"]
PASSWORD = "a password of the recordings"


def caddy(stage: Stage, auth: Service, orders: Service) -> Service:
    program = stage.tools.engine("caddy")
    hashed = subprocess.run([program, "hash-password", "--plaintext", PASSWORD], capture_output=True, text=True, check=True)
    settings = {"HASH": hashed.stdout.strip(), "AUTH": auth.url.removeprefix("http://"), "ORDERS": orders.url}
    port = closed_port()
    command = [program, "run", "--adapter", "caddyfile", "--config", HERE / "services" / "caddy" / "Caddyfile"]
    return stage.start("caddy", command, port=port, versions=stage.tools.version("caddy"), PORT=port, **settings)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def perform(stage: Stage) -> None:
    with postgres(SCHEMA) as database:
        stage.uses(database.versions)
        url = f"postgresql://shop:shop-secret@127.0.0.1:{database.port}/shop"
        orders = stage.tools.start(stage, "orders", "orders", uses=USED, SECRET=SECRET, DATABASE=url)
        auth = stage.tools.start(stage, "auth", "auth", uses=USED, SECRET=SECRET)
        door = caddy(stage, auth, orders)
        mary = bearer("mary", roles=["clerk"], tenant="north")
        bob = bearer("bob", roles=[], tenant="north")
        seen = {"client_address": CLIENT}
        entry = At("caddy", "caddy")
        # Where a handler of Caddy's fails, its status is written when the span has ended: the span says 200.
        unseen = {"outcome": "no_auth_evidence", "no_findings": ["masked_denial", "fail_open"], **seen}

        stage.record(
            "caddy-basic-auth-allowed", ask(door, "GET", "/private/a", basic("mary", PASSWORD)), expect=200,
            outcome="no_auth_evidence", entry_status=200, **seen,
            why="mary's password is the one in the Caddyfile; basic_auth tells the trace nothing.",
        )  # fmt: skip
        stage.record(
            "caddy-basic-auth-denied", ask(door, "GET", "/private/a", basic("mary", "another")), expect=401, **unseen,
            why="basic_auth answers 401 to a wrong password, which Caddy's span tells as 200: no trace can show it.",
        )  # fmt: skip
        stage.record(
            "caddy-address-denied", ask(door, "GET", "/internal/a"), expect=403,
            outcome="denied", layer=["api_gateway", "edge_waf"], phase="authz", span=entry, entry_status=403,
            confidence=["medium"], **seen,
            why="The Caddyfile answers 403 to addresses outside of 10.0.0.0/8; the span does not name the rule.",
        )  # fmt: skip
        stage.record(
            "caddy-forward-auth-allowed", ask(door, "GET", "/asked/orders", mary), expect=200,
            outcome=["allowed", "no_auth_evidence"], entry_status=200, no_findings=["broken_propagation", "fail_open"], **seen,
            why="forward_auth asks auth, which answers 200 to mary's token and role; then orders takes it, too.",
        )  # fmt: skip
        stage.record(
            "caddy-forward-auth-unauthenticated", ask(door, "GET", "/asked/orders"), expect=401,
            outcome="denied", layer=ASKED, phase="authn", span=At("auth", "GET /verify"), enforced_by="caddy",
            entry_status=401, **seen,
            unmended="Caddy, which asked auth and refused on its answer, is called a relay.",
            why="forward_auth asks auth, which wants a token and answers 401; Caddy sends that to the client.",
        )  # fmt: skip
        stage.record(
            "caddy-forward-auth-role", ask(door, "GET", "/asked/orders", bob), expect=403,
            outcome="denied", layer=ASKED, phase="authz", span=At("auth", "GET /verify"), enforced_by="caddy",
            entry_status=403, **seen,
            unmended="Caddy, which asked auth and refused on its answer, is called a relay.",
            why="forward_auth asks auth, which wants the role clerk and answers 403; Caddy sends that to the client.",
        )  # fmt: skip
        stage.record(
            "caddy-role-relayed", ask(door, "DELETE", "/api/orders/1", bob), expect=403,
            outcome="denied", layer="application", phase="authz", span=At("orders", "DELETE /orders/{id}"), principal="bob",
            enforced_by="orders", entry_status=403, confidence=["medium"], findings=["relayed_by"], **seen,
            why="orders lets only a clerk delete, bob's token has no role, and Caddy passes the 403 on.",
        )  # fmt: skip
        stage.record(
            "caddy-grant-relayed", ask(door, "GET", "/api/ledger", bob), expect=500,
            outcome="denied", layer="database", phase="authz", span=At("orders", "SELECT", where={"pgx.sql_state": "42501"}),
            reason="permission denied for table ledger", entry_status=500, confidence=["high"],
            findings=["status_rewritten"], **seen,
            why="The role shop has no grant on the table ledger; orders lets the error become a 500, Caddy passes it on.",
        )  # fmt: skip
        stage.stop(auth)
        stage.record(
            "caddy-forward-auth-down", ask(door, "GET", "/asked/orders", mary), expect=502, **unseen,
            why="auth has been ended: Caddy answers 502, which its span tells as 200, and there is no span of the call.",
        )  # fmt: skip
