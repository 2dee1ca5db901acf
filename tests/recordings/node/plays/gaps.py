"""Express again, with what real traces lack: a service that is not sampled, a gateway that hands no context on, mixed names."""

from __future__ import annotations

from kit.stage import At, Stage
from kit.stores import postgres
from kit.tokens import SECRET, bearer
from plays.express_chain import GATEWAY, ONE_CLOCK, ORDERS, SCHEMA, ask

FRONT = ("express", "axios", "@opentelemetry/auto-instrumentations-node")
UNSURE = ["medium", "low"]


def perform(stage: Stage) -> None:
    node = stage.tools
    mary = bearer("mary", roles=["clerk", "accountant"], tenant="north")
    bob = bearer("bob", roles=[], tenant="north")
    with postgres(SCHEMA) as database:
        stage.uses(database.versions)
        url = f"postgresql://shop:shop-secret@127.0.0.1:{database.port}/shop"
        always = {"OTEL_TRACES_SAMPLER": "always_on"}
        billing = node.start(stage, "billing", "billing.js", SECRET=SECRET, **always)
        given = {"uses": ORDERS, "SECRET": SECRET, "DATABASE": url, "BILLING": billing.url}
        orders = node.start(stage, "orders", "orders.js", **given)

        front = node.start(stage, "front", "front.js", tree="legacy", uses=FRONT, ORDERS=orders.url)
        stage.record(
            "mixed-names-allowed", ask(front, "/api/orders", mary), expect=200, outcome="allowed", entry_status=200,
            no_findings=["missing_hop", "uninstrumented_peer", *ONE_CLOCK],
            why="orders verifies mary's token; the front speaks the old HTTP names, orders the stable ones.",
        )  # fmt: skip
        stage.record(
            "mixed-names-token-missing", ask(front, "/api/orders", None), expect=401,
            outcome="denied", layer="application", phase="authn", span=At("orders", "middleware - authenticate"),
            entry_status=401, findings=["relayed_by"], no_findings=ONE_CLOCK,
            why="passport at orders finds no token; the front, which speaks the old HTTP names, passes the 401 on.",
        )  # fmt: skip
        stage.record(
            "mixed-names-row-level-security", ask(front, "/api/orders?for=south", mary, method="POST"), expect=403,
            outcome="denied", layer="database", phase="authz", span=At("orders", "pg.query:INSERT shop"),
            reason="row-level security policy", entry_status=403, findings=["relayed_by"],
            why="The policy own_tenant lets a session of tenant north write no row of tenant south.",
        )  # fmt: skip
        stage.record(
            "mixed-names-refund-after-reservation", ask(front, "/api/orders/1/refund", bob, method="POST"), expect=403,
            outcome="denied", layer="application", phase="authz", span=At("billing", "middleware - requireAccountant"),
            entry_status=403, findings=["side_effect_before_denial", "relayed_by"],
            side_effects=[["db_write", "before_denial"]],
            why="billing's requireAccountant refuses bob after orders has already written the reservation.",
        )  # fmt: skip
        orders.freeze()
        stage.record(
            "mixed-names-orders-hangs", ask(front, "/api/orders", mary), expect=504,
            outcome="error", service="front", entry_status=504,
            why="orders is stopped in its tracks, and the front waits three seconds for it.",
        )  # fmt: skip
        orders.thaw()
        stage.stop(front)
        stage.stop(orders)

        orders = node.start(stage, "orders", "orders.js", OTEL_TRACES_SAMPLER="always_off", **given)
        edge = node.start(stage, "edge", "edge.js", uses=GATEWAY, SECRET=SECRET, ORDERS=orders.url, BILLING=billing.url)
        stage.record(
            "unsampled-hop-role", ask(edge, "/api/orders/1", bob, method="DELETE"), expect=403,
            outcome="denied", span=At("edge", "DELETE"), entry_status=403, confidence=UNSURE,
            why="requireRole refuses at orders, whose sampler drops every span: only the gateway's call shows the 403.",
        )  # fmt: skip
        stage.record(
            "unsampled-hop-grant", ask(edge, "/api/ledger", mary), expect=500, outcome=["error", "inconclusive"],
            entry_status=500,
            why="The database refuses orders, whose sampler drops every span: the trace shows a 500 and no reason.",
        )  # fmt: skip
        stage.record(
            "unsampled-hop-refund", ask(edge, "/api/orders/1/refund", bob, method="POST"), expect=403,
            outcome="denied", layer="application", phase="authz", span=At("billing", "middleware - requireAccountant"),
            entry_status=403, confidence=UNSURE, findings=["orphan_spans"],
            why="billing's requireAccountant refuses; its spans hang below those of orders, whose sampler dropped them.",
        )  # fmt: skip
        stage.stop(edge)
        stage.stop(orders)

        orders = node.start(stage, "orders", "orders.js", **given)
        mute = node.start(
            stage, "edge", "edge.js", uses=GATEWAY, SECRET=SECRET, ORDERS=orders.url, OTEL_PROPAGATORS="none"
        )  # fmt: skip
        stage.record(
            "context-not-handed-on", ask(mute, "/api/orders/1", bob, method="DELETE"), expect=403,
            outcome="denied", span=At("edge", "DELETE"), entry_status=403, confidence=UNSURE,
            why="requireRole refuses at orders, in a trace of its own: the gateway hands no context on.",
        )  # fmt: skip
