"""NestJS 11 and 10: guards that throw or say no, the throttler, and PostgreSQL's grants below the handler."""

from __future__ import annotations

from kit.stage import At, Stage, closed_port
from kit.stores import postgres
from kit.tokens import SECRET, bearer

SCHEMA = """
CREATE ROLE desk LOGIN PASSWORD 'desk-secret';
CREATE TABLE documents (id serial PRIMARY KEY, title text, owner text);
INSERT INTO documents (title, owner) VALUES ('plan', 'ada'), ('diary', 'grace');
CREATE TABLE salaries (name text, amount int);
GRANT SELECT ON documents TO desk;
"""
USES = ("@nestjs/core", "@nestjs/throttler", "pg", "@opentelemetry/auto-instrumentations-node")


def perform(stage: Stage) -> None:
    ada = {"Authorization": bearer("ada", roles=[])}
    with postgres(SCHEMA) as database:
        stage.uses(database.versions)
        url = f"postgresql://desk:desk-secret@127.0.0.1:{database.port}/shop"
        nobody = f"http://127.0.0.1:{closed_port()}"
        for release, tree in (("11", "current"), ("10", "legacy")):
            desk = stage.tools.start(
                stage, "desk", "desk.js", tree=tree, uses=USES, SECRET=SECRET, DATABASE=url, ENTITLEMENTS=nobody
            )  # fmt: skip
            nest = f"nest{release}"
            stage.record(
                f"{nest}-allowed", desk.get("/documents/1", **ada), expect=200,
                outcome=["allowed", "no_auth_evidence"], principal="ada", no_findings=["masked_denial", "fail_open"],
                why="TokenGuard verifies a genuine token, of which no span speaks; the document is ada's own.",
            )  # fmt: skip
            stage.record(
                f"{nest}-token-missing", desk.get("/documents"), expect=401,
                outcome="denied", layer="application", phase="authn", span=At("desk", "Documents.list"),
                reason="jwt must be provided", entry_status=401, confidence=["high"],
                why="TokenGuard, on the whole controller, throws UnauthorizedException: the request has no token.",
            )  # fmt: skip
            stage.record(
                f"{nest}-guard-says-no", desk.request("DELETE", "/documents/1", None, ada), expect=403,
                outcome="denied", layer="application", phase="authz", span=At("desk", "Documents.remove"),
                reason="Forbidden resource", entry_status=403, principal="ada", confidence=["high"],
                why="EditorGuard at the DELETE route returns false for ada, who is no editor.",
            )  # fmt: skip
            stage.record(
                f"{nest}-handler-forbids", desk.get("/documents/2", **ada), expect=403,
                outcome="denied", layer="application", phase="authz",
                span=(At("desk", "read"), At("desk", "Documents.read")), reason="only the owner", entry_status=403,
                why="The handler itself throws ForbiddenException: the document is grace's.",
            )  # fmt: skip
            stage.record(
                f"{nest}-grant", desk.get("/documents/salaries", **ada), expect=500,
                outcome="denied", layer="database", phase="authz", span=At("desk", "pg.query:SELECT shop"),
                reason="permission denied for table salaries", entry_status=500, findings=["status_rewritten"],
                why="The role desk has no grant on the table salaries; Nest turns the error into a 500.",
            )  # fmt: skip
            stage.record(
                f"{nest}-entitlements-down", desk.post("/documents/1/share", **ada), expect=403,
                outcome="error", service="desk", entry_status=403, findings=["fail_closed"],
                why="Nobody listens where EntitlementGuard asks, and it refuses what it cannot ask about.",
            )  # fmt: skip
            stage.stop(desk)
            hasty = stage.tools.start(stage, "desk", "desk.js", tree=tree, uses=USES, SECRET=SECRET, DATABASE=url, LIMIT=1)
            stage.send(hasty.get("/documents/2", **ada))
            stage.record(
                f"{nest}-throttled", hasty.get("/documents/1", **ada), expect=429,
                outcome="denied", layer="rate_limiter", span=At("desk", "Documents.read"), entry_status=429,
                why="ThrottlerGuard lets one request a minute through, and this is the second.",
            )  # fmt: skip
            stage.stop(hasty)
    desk = stage.tools.start(stage, "desk", "desk.js", uses=USES, SECRET=SECRET, DATABASE=url)
    stage.record(
        "nest11-database-down", desk.get("/documents", **ada), expect=500,
        outcome="error", layer="database", service="desk", entry_status=500, no_findings=["status_rewritten"],
        why="PostgreSQL has been stopped when the handler wants to read the documents.",
    )  # fmt: skip
