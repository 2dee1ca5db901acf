"""net/http under otelhttp: a gateway that verifies tokens before orders, which keeps its rows with pgx under otelpgx."""

from __future__ import annotations

from family import CLIENT, ask, end
from kit.stage import At, Stage
from kit.stores import postgres
from kit.tokens import SECRET, bearer

SCHEMA = """
CREATE ROLE shop LOGIN PASSWORD 'shop-secret' NOBYPASSRLS;
CREATE TABLE orders (id serial PRIMARY KEY, tenant text NOT NULL, item text NOT NULL);
INSERT INTO orders (tenant, item) VALUES ('north', 'desk'), ('north', 'chair'), ('south', 'bed');
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON orders USING (tenant = current_setting('app.tenant', true));
GRANT SELECT, INSERT, DELETE ON orders TO shop;
GRANT USAGE ON SEQUENCE orders_id_seq TO shop;
CREATE TABLE ledger (total int);
CREATE TABLE reservations (order_id int, state text);
GRANT INSERT ON reservations TO shop;
"""
USED = ("otelhttp", "otelpgx", "pgx/v5", "otel/sdk")


def perform(stage: Stage) -> None:
    with postgres(SCHEMA) as database:
        url = f"postgresql://shop:shop-secret@127.0.0.1:{database.port}/shop"
        go = stage.tools
        orders = go.start(stage, "orders", "orders", uses=USED, SECRET=SECRET, DATABASE=url)
        gateway = go.start(
            stage, "gateway", "gateway", uses=USED, SECRET=SECRET, ORDERS=orders.url, KEPT=bearer("mary", lasts_s=-60)
        )
        stage.uses(database.versions)
        mary = bearer("mary", roles=["clerk"], tenant="north")
        bob = bearer("bob", roles=[], tenant="north")
        seen = {"client_address": CLIENT}
        at_the_gateway = At("gateway", "GET /api/")

        stage.record(
            "otelhttp-chain-allowed", ask(gateway, "GET", "/api/orders", mary), expect=200,
            outcome="no_auth_evidence", confidence=["high"], entry_status=200,
            no_findings=["missing_hop", "broken_propagation", "multiple_roots"], **seen,
            why="Both services verify the token in plain code and the rows are mary's: nothing of it is told to the trace.",
        )  # fmt: skip
        stage.record(
            "otelhttp-token-missing", ask(gateway, "GET", "/api/orders"), expect=401,
            outcome="denied", layer="api_gateway", phase="authn", span=at_the_gateway, entry_status=401,
            confidence=["medium"], no_findings=["relayed_by"], **seen,
            why="The gateway's middleware `authenticated` wants a bearer token, and the request has none.",
        )  # fmt: skip
        stage.record(
            "otelhttp-token-expired", ask(gateway, "GET", "/api/orders", bearer("mary", lasts_s=-60)), expect=401,
            outcome="denied", layer="api_gateway", phase="authn", span=at_the_gateway, entry_status=401,
            confidence=["medium"], **seen,
            why="The gateway's middleware `authenticated` checks exp, which passed a minute ago.",
        )  # fmt: skip
        stage.record(
            "otelhttp-role-missing", ask(gateway, "DELETE", "/api/orders/1", bob), expect=403,
            outcome="denied", layer="application", phase="authz", span=At("orders", "DELETE /orders/{id}"), principal="bob",
            enforced_by="orders", entry_status=403, confidence=["medium"], findings=["relayed_by"],
            no_findings=["status_rewritten", "missing_hop"], **seen,
            why="orders lets only a clerk delete, bob's token has no role, and the gateway passes the 403 on.",
        )  # fmt: skip
        stage.record(
            "otelhttp-grant-missing", ask(gateway, "GET", "/api/ledger", mary), expect=500,
            outcome="denied", layer="database", phase="authz",
            span=At("orders", "SELECT", where={"pgx.sql_state": "42501"}),
            reason="permission denied for table ledger", principal="mary", entry_status=500, confidence=["high"],
            findings=["status_rewritten"], **seen,
            why="The role shop has no grant on the table ledger; orders lets the error become a 500.",
        )  # fmt: skip
        stage.record(
            "otelhttp-row-level-security", ask(gateway, "POST", "/api/orders", mary, {"tenant": "south", "item": "lamp"}),
            expect=403, outcome="denied", layer="database", phase="authz", span=At("orders", "INSERT"),
            reason="row-level security policy", principal="mary", entry_status=403, confidence=["high"],
            findings=["relayed_by"], no_findings=["status_rewritten", "side_effect_before_denial"], **seen,
            why="The policy own_tenant lets a session of tenant north write no row of tenant south.",
        )  # fmt: skip
        stage.record(
            "otelhttp-row-hidden", ask(gateway, "GET", "/api/orders/3", mary), expect=404,
            outcome="no_auth_evidence", entry_status=404, no_findings=["masked_denial"], **seen,
            why="The policy own_tenant hides the row: no error, no rows, a 404 that no trace can tell from a missing order.",
        )  # fmt: skip
        stage.record(
            "otelhttp-refund-after-reservation", ask(gateway, "POST", "/api/refunds", mary, {}), expect=403,
            outcome="denied", layer="database", phase="authz",
            span=At("orders", "INSERT", where={"pgx.sql_state": "42501"}),
            reason="permission denied for table ledger", principal="mary", entry_status=403, confidence=["high"],
            findings=["side_effect_before_denial"], side_effects=[["db_write", "before_denial"]], **seen,
            why="The role shop may not write to ledger, after the reservation was committed by a statement of its own.",
        )  # fmt: skip
        stage.record(
            "otelhttp-token-renewed", ask(gateway, "GET", "/session/orders", mary), expect=200,
            outcome="allowed", entry_status=200, findings=["retried"], no_findings=["fail_open"], **seen,
            why="orders refuses the expired token the gateway kept, and takes the caller's in the second attempt.",
        )  # fmt: skip
        stage.record(
            "otelhttp-overview-in-part", ask(gateway, "GET", "/overview", bob), expect=200,
            outcome="partially_denied", layer="application", phase="authz", span=At("orders", "GET /reports"),
            principal="bob", entry_status=200, no_findings=["fail_open", "retried"], **seen,
            why="orders refuses bob the reports, which are for clerks, and the gateway's overview does without them.",
        )  # fmt: skip
        other = go.start(
            stage, "orders", "orders", uses=USED, SECRET=SECRET, DATABASE=url.replace("shop-secret", "no-longer-right")
        )
        stranger = go.start(stage, "gateway", "gateway", uses=USED, SECRET=SECRET, ORDERS=other.url)
        stage.record(
            "otelhttp-database-login", ask(stranger, "GET", "/api/orders", mary), expect=500,
            outcome="denied", layer="database", phase="authn", span=At("orders", "connect"),
            reason="password authentication failed", entry_status=500, findings=["status_rewritten"], **seen,
            why="orders is given a password that is not the role's: PostgreSQL refuses its login, whoever the caller is.",
        )  # fmt: skip
        end(stage, database, ask(gateway, "GET", "/api/ledger", mary))
        stage.record(
            "otelhttp-database-down", ask(gateway, "GET", "/api/orders", mary), expect=500,
            outcome="error", layer="database", span=At("orders", "connect"), entry_status=500, confidence=["high"],
            no_findings=["fail_closed", "status_rewritten"], **seen,
            why="PostgreSQL has been ended: its port refuses the connection, and nobody refused the request.",
        )  # fmt: skip
        stage.stop(orders)
        stage.record(
            "otelhttp-orders-down", ask(gateway, "GET", "/api/orders", mary), expect=502,
            outcome="error", span=At("gateway", "HTTP GET"), entry_status=502, no_findings=["missing_hop"], **seen,
            why="orders has been ended: its port refuses the connection, and the gateway answers 502.",
        )  # fmt: skip
