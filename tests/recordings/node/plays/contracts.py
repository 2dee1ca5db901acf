"""Cerbos, which is not sampled, and PostgreSQL behind one Express service: where the two disagree, and what came before."""

from __future__ import annotations

from kit.stage import At, Stage
from kit.stores import postgres
from plays.cerbos import USES, start_cerbos

SCHEMA = """
CREATE ROLE contracts LOGIN PASSWORD 'contracts-secret' NOBYPASSRLS;
CREATE TABLE figures (total int);
CREATE TABLE drafts (tenant text NOT NULL);
ALTER TABLE drafts ENABLE ROW LEVEL SECURITY;
CREATE POLICY north_only ON drafts USING (tenant = 'north');
GRANT INSERT ON drafts TO contracts;
"""


def perform(stage: Stage) -> None:
    cerbos = start_cerbos(stage, "always_off")
    with postgres(SCHEMA) as database:
        stage.uses(database.versions)
        url = f"postgresql://contracts:contracts-secret@127.0.0.1:{database.port}/shop"
        contracts = stage.tools.start(stage, "contracts", "contracts.js", uses=(*USES, "pg"), CERBOS=cerbos.url, DATABASE=url)
        kim = {"X_User": "kim"}
        stage.record(
            "cerbos-silent-allowed", contracts.post("/signatures?owner=kim", **kim), expect=201,
            outcome="allowed", entry_status=201, no_findings=["side_effect_before_denial", "side_effect_after_denial"],
            why="The policy lets the owner go on, and the contract is kim's.",
        )  # fmt: skip
        stage.record(
            "cerbos-silent-denied-after-draft", contracts.post("/signatures?owner=lee", **kim), expect=403,
            outcome="denied", layer="policy_engine", phase="authz", span=At("contracts", "POST"), enforced_by="contracts",
            entry_status=403, confidence=["medium"], findings=["side_effect_before_denial"],
            side_effects=[["db_write", "before_denial"]],
            why="Cerbos, which sends no spans here, refuses kim lee's contract after the draft has been written.",
        )  # fmt: skip
        stage.record(
            "cerbos-probe-then-grant", contracts.get("/contracts", **kim), expect=500,
            outcome="denied", layer="database", phase="authz", span=At("contracts", "pg.query:SELECT shop"),
            reason="permission denied for table figures", entry_status=500, findings=["status_rewritten"],
            why="Cerbos says which buttons to show, a no among them; what refuses is the missing grant on figures.",
        )  # fmt: skip
        stage.record(
            "cerbos-allows-row-level-security-refuses", contracts.post("/transfers", **kim), expect=403,
            outcome="denied", layer="database", phase="authz", span=At("contracts", "pg.query:INSERT shop"),
            reason="row-level security policy", entry_status=403, confidence=["high"],
            why="Cerbos lets kim go on, but the policy north_only of the table takes no row of tenant south.",
        )  # fmt: skip
