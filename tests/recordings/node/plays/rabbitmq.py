"""amqplib before RabbitMQ: an exchange one may not write to, a refused login, a worker that refuses what was accepted."""

from __future__ import annotations

from kit.stage import At, Stage
from kit.stores import Account, rabbitmq

USES = ("amqplib", "express", "@opentelemetry/auto-instrumentations-node")
ACCOUNTS = {
    "intake": Account("intake-secret", configure="", write="^amq\\.default$", read=""),
    "fulfilment": Account("fulfilment-secret"),
}


def perform(stage: Stage) -> None:
    good = {"X_Customer": "ada-inc"}
    for release, tree in (("2", "current"), ("0.10", "legacy")):
        amqp = f"amqplib{release}"
        with rabbitmq(stage.cache, ACCOUNTS) as broker:
            stage.uses(broker.versions)
            url = f"amqp://{{}}@127.0.0.1:{broker.port}"
            intake = stage.tools.start(
                stage, "intake", "intake.js", tree=tree, uses=USES, BROKER=url.format("intake:intake-secret")
            )  # fmt: skip
            stage.tools.start(
                stage, "fulfilment", "fulfilment.js", tree=tree, BROKER=url.format("fulfilment:fulfilment-secret")
            )
            stage.record(
                f"{amqp}-worked-off", intake.post("/orders", **good), expect=202,
                outcome="allowed", entry_status=202, no_findings=["fail_open", "side_effect_before_denial"],
                why="The account intake may write to the default exchange, and fulfilment's check lets the customer order.",
            )  # fmt: skip
            stage.record(
                f"{amqp}-worker-refuses", intake.post("/orders", X_Customer="blocked-ltd"), expect=202,
                outcome="partially_denied", layer="application", phase="authz",
                span=At("fulfilment", "auth.permission_check"), reason="customer is blocked", entry_status=202,
                why="The order was accepted with 202; fulfilment's check refuses it, because the customer is blocked.",
            )  # fmt: skip
            # Older instrumentations keep nothing but the missing confirmation: it may as well be a fault.
            told = {"outcome": "denied", "phase": "authz", "reason": "ACCESS_REFUSED", "findings": ["status_rewritten"]}
            stage.record(
                f"{amqp}-exchange-denied", intake.post("/payouts", **good), expect=500,
                layer="message_broker", service="intake", entry_status=500,
                **(told if tree == "current" else {"outcome": ["denied", "error"]}),
                why="The account intake may write to the default exchange only, not to payouts.",
            )  # fmt: skip
            locked_out = stage.tools.start(
                stage, "intake-2", "intake.js", tree=tree, uses=USES, BROKER=url.format("intake:a-wrong-one")
            )  # fmt: skip
            # Nor do they keep what the handler throws: the older trace shows a 500 and no word of a login.
            told = {"outcome": "denied", "layer": "message_broker", "phase": "authn"}
            stage.record(
                f"{amqp}-login-refused", locked_out.post("/orders", **good), expect=500,
                service="intake-2", entry_status=500, absent=["a-wrong-one"],
                **(told if tree == "current" else {"outcome": "error"}),
                why="The service is configured with a wrong password of its broker account.",
            )  # fmt: skip
        down = stage.tools.start(
            stage, "intake-3", "intake.js", tree=tree, uses=USES, BROKER=url.format("intake:intake-secret")
        )
        stage.record(
            f"{amqp}-broker-down", down.post("/orders", **good), expect=500,
            outcome="error", service="intake-3", entry_status=500, no_findings=["status_rewritten"],
            why="RabbitMQ has been stopped when the service wants to connect.",
        )  # fmt: skip
