"""Express 4 with older instrumentations: old HTTP conventions, and once the stable ones by their switch."""

from __future__ import annotations

from kit.stage import At, Stage
from kit.stores import postgres
from kit.tokens import SECRET, bearer

SCHEMA = """
CREATE ROLE shop LOGIN PASSWORD 'shop-secret';
CREATE TABLE invoices (id serial PRIMARY KEY);
GRANT SELECT ON invoices TO shop;
CREATE TABLE payroll (total int);
"""
USES = ("express", "express-jwt", "express-rate-limit", "passport", "pg", "@opentelemetry/auto-instrumentations-node")


def perform(stage: Stage) -> None:
    rosa = {"Authorization": bearer("rosa", roles=["bookkeeper"])}
    sam = {"Authorization": bearer("sam", roles=[])}
    with postgres(SCHEMA) as database:
        stage.uses(database.versions)
        url = f"postgresql://shop:shop-secret@127.0.0.1:{database.port}/shop"
        given = {"tree": "legacy", "uses": USES, "SECRET": SECRET}
        shop = stage.tools.start(stage, "shop", "shop.js", DATABASE=url, **given)
        stage.record(
            "express4-allowed", shop.get("/invoices", **rosa), expect=200, outcome="allowed", entry_status=200,
            why="passport verifies rosa's token, requireBookkeeper lets her through, and the role shop may read invoices.",
        )  # fmt: skip
        stage.record(
            "express4-token-missing", shop.get("/invoices"), expect=401,
            outcome="denied", layer="application", phase="authn", span=At("shop", "middleware - authenticate"),
            entry_status=401,
            why="passport's bearer strategy finds no token.",
        )  # fmt: skip
        stage.record(
            "express4-jwt-malformed", shop.get("/partners", Authorization="Bearer nonsense"), expect=401,
            outcome="denied", layer="application", phase="authn", service="shop", reason="jwt malformed", entry_status=401,
            why="express-jwt before /partners is given a token that is none.",
        )  # fmt: skip
        stage.record(
            "express4-guard", shop.get("/invoices", **sam), expect=403,
            outcome="denied", layer="application", phase="authz", span=At("shop", "middleware - requireBookkeeper"),
            entry_status=403,
            why="requireBookkeeper before /invoices refuses sam, whose token has no role.",
        )  # fmt: skip
        stage.record(
            "express4-grant", shop.get("/payroll", **rosa), expect=500,
            outcome="denied", layer="database", phase="authz", span=At("shop", "pg.query:SELECT shop"),
            reason="permission denied for table payroll", entry_status=500, findings=["status_rewritten"],
            why="The role shop has no grant on the table payroll; the error handler makes a 500 of it.",
        )  # fmt: skip
        stage.stop(shop)
        hasty = stage.tools.start(
            stage, "shop", "shop.js", DATABASE=url, LIMIT=1, OTEL_SEMCONV_STABILITY_OPT_IN="http", **given
        )  # fmt: skip
        stage.record(
            "express4-stable-guard", hasty.get("/invoices", **sam), expect=403,
            outcome="denied", layer="application", phase="authz", span=At("shop", "middleware - requireBookkeeper"),
            entry_status=403,
            why="requireBookkeeper before /invoices refuses sam, whose token has no role.",
        )  # fmt: skip
        stage.record(
            "express4-rate-limited", hasty.get("/invoices", **rosa), expect=429,
            outcome="denied", layer="rate_limiter", service="shop", entry_status=429,
            why="express-rate-limit lets one request a minute through, and this is the second.",
        )  # fmt: skip
        stage.stop(hasty)
        locked_out = stage.tools.start(stage, "shop", "shop.js", DATABASE=url.replace("shop-secret", "wrong"), **given)
        stage.record(
            "express4-database-login", locked_out.get("/invoices", **rosa), expect=500,
            outcome="denied", layer="database", phase="authn", service="shop", reason="password authentication failed",
            entry_status=500,
            why="The shop is configured with a wrong password of its database role.",
        )  # fmt: skip
        stage.stop(locked_out)
    down = stage.tools.start(stage, "shop", "shop.js", DATABASE=url, **given)
    stage.record(
        "express4-database-down", down.get("/invoices", **rosa), expect=500,
        outcome="error", layer="database", service="shop", entry_status=500,
        why="PostgreSQL has been stopped when the handler wants to read the invoices.",
    )  # fmt: skip
