"""hapi with @hapi/jwt: a strategy, scopes at the routes and an extension that refuses; knex before PostgreSQL's grants."""

from __future__ import annotations

from kit.stage import At, Stage
from kit.stores import postgres
from kit.tokens import SECRET, bearer

SCHEMA = """
CREATE ROLE warehouse LOGIN PASSWORD 'warehouse-secret';
CREATE TABLE shelves (id serial PRIMARY KEY);
GRANT SELECT ON shelves TO warehouse;
CREATE TABLE audits (total int);
"""
USES = ("@hapi/hapi", "@hapi/jwt", "knex", "pg", "@opentelemetry/auto-instrumentations-node")


def perform(stage: Stage) -> None:
    tim = {"Authorization": bearer("tim", roles=["picker"])}
    with postgres(SCHEMA) as database:
        stage.uses(database.versions)
        url = f"postgresql://warehouse:warehouse-secret@127.0.0.1:{database.port}/shop"
        warehouse = stage.tools.start(stage, "warehouse", "warehouse.js", uses=USES, SECRET=SECRET, DATABASE=url)
        stage.record(
            "hapi-allowed", warehouse.get("/shelves", **tim), expect=200,
            outcome=["allowed", "no_auth_evidence"], entry_status=200, no_findings=["masked_denial"],
            why="The strategy verifies tim's token, of which no span speaks, and the role warehouse may read the shelves.",
        )  # fmt: skip
        stage.record(
            "hapi-token-expired", warehouse.get("/shelves", Authorization=bearer("tim", lasts_s=-60)), expect=401,
            outcome="denied", layer="application", phase="authn", service="warehouse", entry_status=401,
            why="@hapi/jwt refuses the token, which expired a minute ago.",
        )  # fmt: skip
        stage.record(
            "hapi-scope-missing", warehouse.request("DELETE", "/shelves/1", None, tim), expect=403,
            outcome="denied", layer="application", phase="authz", service="warehouse", entry_status=403,
            why="The DELETE route asks for the scope keeper, and tim's token has picker.",
        )  # fmt: skip
        stage.record(
            "hapi-extension-refuses", warehouse.get("/shelves", X_Shift="off", **tim), expect=403,
            outcome="denied", layer="application", phase="authz", span=At("warehouse", "ext - onPostAuth - requireShift"),
            entry_status=403,
            why="The extension requireShift takes the request over with a 403: tim is not on shift.",
        )  # fmt: skip
        stage.record(
            "knex-grant", warehouse.get("/audits", **tim), expect=500,
            outcome="denied", layer="database", phase="authz", span=At("warehouse", "pg.query:SELECT shop"),
            reason="permission denied for table audits", entry_status=500, findings=["status_rewritten"],
            why="The role warehouse has no grant on the table audits; hapi makes a 500 of the error.",
        )  # fmt: skip
    stage.record(
        "knex-database-down", warehouse.get("/shelves", **tim), expect=500,
        outcome="error", layer="database", service="warehouse", entry_status=500, no_findings=["status_rewritten"],
        why="PostgreSQL has been stopped when the handler wants to read the shelves.",
    )  # fmt: skip
