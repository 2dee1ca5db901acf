"""Gin under otelgin with Casbin in its own process, and PostgreSQL through database/sql under otelsql."""

from __future__ import annotations

from family import CLIENT, ask, end
from kit.stage import At, Stage
from kit.stores import postgres
from kit.tokens import SECRET, bearer

SCHEMA = """
CREATE ROLE shop LOGIN PASSWORD 'shop-secret';
CREATE TABLE documents (title text);
CREATE TABLE shares (title text);
CREATE TABLE archive (title text);
CREATE TABLE counters (tried int);
GRANT SELECT, INSERT ON documents, shares TO shop;
GRANT SELECT, UPDATE ON counters TO shop;
"""
USED = ("otelgin", "gin", "casbin/v2", "otelsql", "pgx/v5")


def perform(stage: Stage) -> None:
    with postgres(SCHEMA) as database:
        url = f"postgresql://shop:shop-secret@127.0.0.1:{database.port}/shop"
        docs = stage.tools.start(stage, "docs", "docs", uses=USED, SECRET=SECRET, DATABASE=url)
        stage.uses(database.versions)
        mary, bob = bearer("mary"), bearer("bob")
        seen = {"client_address": CLIENT}

        stage.record(
            "gin-allowed", ask(docs, "GET", "/documents", mary), expect=200,
            outcome="no_auth_evidence", confidence=["high"], entry_status=200, **seen,
            why="The policy lets mary read documents; Casbin says nothing to the trace.",
        )  # fmt: skip
        stage.record(
            "gin-token-missing", ask(docs, "GET", "/documents"), expect=401,
            outcome="denied", layer="application", phase="authn", span=At("docs", "GET /documents"), entry_status=401,
            confidence=["medium"], **seen,
            why="docs' middleware `bearer` wants a token, and the request has none.",
        )  # fmt: skip
        stage.record(
            "gin-casbin-silent", ask(docs, "POST", "/documents", bob, {}), expect=403,
            outcome="denied", layer="application", phase="authz", span=At("docs", "POST /documents"), principal="bob",
            entry_status=403, confidence=["medium"], no_findings=["side_effect_before_denial"], **seen,
            why="Casbin's policy gives bob GET on documents and nothing else; the middleware answers 403 without a span.",
        )  # fmt: skip
        stage.record(
            "gin-casbin-told-allowed", ask(docs, "POST", "/shares", mary, {}), expect=201,
            outcome="allowed", confidence=["high"], entry_status=201, layers=[["application", "allow"]],
            no_findings=["side_effect_before_denial"], **seen,
            why="Casbin's policy lets mary share, and the middleware `traced` writes the decision on its span.",
        )  # fmt: skip
        stage.record(
            "gin-casbin-told-denied", ask(docs, "POST", "/shares", bob, {}), expect=403,
            outcome="denied", layer="application", phase="authz", span=At("docs", "casbin.enforce"), principal="bob",
            reason="no policy matches", enforced_by="docs", entry_status=403, confidence=["high"],
            findings=["side_effect_before_denial"], side_effects=[["db_write", "before_denial"]], **seen,
            why="Casbin's policy gives bob nothing on shares; `logged` had written to counters before it was asked.",
        )  # fmt: skip
        stage.record(
            "gin-otelsql-grant", ask(docs, "GET", "/archive", mary), expect=500,
            outcome="denied", layer="database", phase="authz", span=At("docs", "sql.conn.query"),
            reason="permission denied for table archive", principal="mary", entry_status=500,
            findings=["status_rewritten"], **seen,
            why="The role shop has no grant on the table archive; docs lets the error become a 500.",
        )  # fmt: skip
        end(stage, database, ask(docs, "GET", "/archive", mary))
        stage.record(
            "gin-otelsql-down", ask(docs, "GET", "/documents", mary), expect=500,
            outcome="error", layer="database", span=At("docs", "sql.connector.connect"), entry_status=500,
            no_findings=["status_rewritten", "fail_closed"], **seen,
            why="PostgreSQL has been ended: its port refuses the connection, and nobody refused the request.",
        )  # fmt: skip
