"""Express 5 with the mistakes services make: a guard that goes on, some of many refused, a partner without spans."""

from __future__ import annotations

from kit.stage import At, Stage
from kit.stores import postgres

SCHEMA = """
CREATE ROLE claims LOGIN PASSWORD 'claims-secret' NOBYPASSRLS;
CREATE TABLE claims (id serial PRIMARY KEY, tenant text NOT NULL, state text NOT NULL);
INSERT INTO claims (tenant, state) VALUES ('north', 'closed'), ('north', 'open');
ALTER TABLE claims ENABLE ROW LEVEL SECURITY;
CREATE POLICY north_only ON claims USING (tenant = 'north');
GRANT SELECT, INSERT, DELETE ON claims TO claims;
GRANT USAGE ON SEQUENCE claims_id_seq TO claims;
"""
USES = ("express", "pg", "@opentelemetry/auto-instrumentations-node")


def perform(stage: Stage) -> None:
    with postgres(SCHEMA) as database:
        stage.uses(database.versions)
        url = f"postgresql://claims:claims-secret@127.0.0.1:{database.port}/shop"
        partner = stage.start("partner", [stage.tools.program, stage.cache / "current/partner.js"])
        claims = stage.tools.start(
            stage, "claims", "claims.js", uses=USES, DATABASE=url, PARTNER=partner.url, KEY="an old key"
        )  # fmt: skip
        stage.record(
            "express5-guard-goes-on", claims.post("/purge", X_Role="clerk"), expect=403,
            outcome=["bypassed", "denied"], service="claims", entry_status=403, findings=["side_effect_after_denial"],
            side_effects=[["db_write", "after_denial"]],
            why="requireAuditor sends its 403 and calls next all the same: the handler deletes the closed claims.",
        )  # fmt: skip
        stage.record(
            "express5-guard-lets-through", claims.post("/purge", X_Role="auditor"), expect=204,
            outcome="allowed", entry_status=204, no_findings=["side_effect_after_denial", "fail_open"],
            side_effects=[["db_write", "no_denial"]],
            why="requireAuditor lets the auditor through, and the closed claims are deleted.",
        )  # fmt: skip
        stage.record(
            "express5-some-refused", claims.post("/imports"), expect=207,
            outcome="partially_denied", layer="database", phase="authz", service="claims", reason="row-level security policy",
            entry_status=207,
            why="The policy north_only refuses the second of three claims; the other two are written, and the answer is a 207.",
        )  # fmt: skip
        stage.record(
            "express5-partner-refuses", claims.post("/referrals"), expect=502,
            outcome="denied", layer="external_service", span=At("claims", "POST"), entry_status=502,
            confidence=["medium", "low"], findings=["uninstrumented_peer", "status_rewritten"],
            why="The partner, who sends no spans, refuses the key that claims is configured with; claims makes a 502 of it.",
        )  # fmt: skip
        stage.record(
            "express5-partner-refuses-late", claims.post("/recorded-referrals"), expect=403,
            outcome="denied", layer="external_service", span=At("claims", "POST"), entry_status=403,
            confidence=["medium", "low"], findings=["uninstrumented_peer", "side_effect_before_denial"],
            side_effects=[["db_write", "before_denial"]],
            why="The partner, who sends no spans, refuses the key of claims after the claim has been written.",
        )  # fmt: skip
