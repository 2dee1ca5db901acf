"""OpenFGA says no, and orders makes something else of it: a 404, nothing at all, or a part of its work left undone."""

from __future__ import annotations

from family import CLIENT, ask
from kit.stage import At, Stage
from kit.stores import postgres
from kit.tokens import bearer
from plays.http_chain import SCHEMA
from plays.openfga import gateway_before, openfga, store, told


def perform(stage: Stage) -> None:
    with postgres(SCHEMA) as database:
        stage.uses(database.versions)
        url = f"postgresql://shop:shop-secret@127.0.0.1:{database.port}/shop"
        mary = bearer("mary", roles=["clerk"], tenant="north")
        eve = bearer("eve", roles=["clerk"], tenant="north")
        seen = {"client_address": CLIENT}
        engine = openfga(stage, *told(stage))
        held = store(engine)
        decided = At("openfga", "Check")

        hiding = gateway_before(stage, engine, held, DATABASE=url, DENIED="hidden")
        stage.record(
            "openfga-denied-hidden", ask(hiding, "GET", "/api/orders/1", eve), expect=404,
            outcome="denied", layer="policy_engine", phase="authz", span=decided, enforced_by="orders", entry_status=404,
            findings=["masked_denial"], no_findings=["fail_open"], **seen,
            why="No tuple names eve, Check says allowed=false, and orders was started to answer 404 to a no.",
        )  # fmt: skip
        stage.record(
            "openfga-bulk-in-part", ask(hiding, "POST", "/api/removals", mary, {}), expect=200,
            outcome="partially_denied", layer="policy_engine", phase="authz", entry_status=200,
            span=(At("openfga", "Check", 2), At("openfga", "Check", 3)),
            no_findings=["fail_open"], **seen,
            why="mary is clerk of order:1 alone: of three removals one is allowed and done, two are refused and left.",
        )  # fmt: skip
        heedless = gateway_before(stage, engine, held, DATABASE=url, DENIED="ignored")
        stage.record(
            "openfga-denied-ignored", ask(heedless, "DELETE", "/api/orders/2", eve), expect=204,
            outcome="bypassed", layer="policy_engine", phase="authz", span=decided, entry_status=204, findings=["fail_open"],
            **seen,
            why="No tuple names eve and Check says allowed=false; orders was started to ignore a no, and deletes.",
        )  # fmt: skip
