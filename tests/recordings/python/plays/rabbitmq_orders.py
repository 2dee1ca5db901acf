"""Flask with pika before RabbitMQ: an exchange one may not write to, a refused login, and a worker that is refused later."""

from __future__ import annotations

from typing import Any

from family import CLIENT, OLD, SHOP, STABLE, Caller
from kit.stage import At, Stage, closed_port
from kit.stores import Account, postgres, rabbitmq
from kit.tokens import SECRET, bearer

USES = ("Flask", "pika", "requests")
MARY = Caller(bearer("mary", roles=["clerk"], tenant="north"))
ACCOUNTS = {
    "intake": Account("intake-secret", configure="", write="^amq\\.default$", read=""),
    "fulfilment": Account("fulfilment-secret"),
}


def perform(stage: Stage) -> None:
    with postgres(SHOP) as database, rabbitmq(stage.cache, ACCOUNTS) as broker:
        stage.uses(database.versions | broker.versions)
        given = {"SECRET": SECRET, "DATABASE": f"postgresql://shop:shop-secret@127.0.0.1:{database.port}/shop"}
        url = f"amqp://{{}}@127.0.0.1:{broker.port}/%2F"
        for spelling, convention in (("old", OLD), ("stable", STABLE)):
            stock = stage.tools.wsgi(stage, "stock", "stock:app", uses=("psycopg",), **given, **convention)
            links = {"STOCK": stock.url, "BROKER": url.format("fulfilment:fulfilment-secret")}
            worker = stage.tools.script(stage, "fulfilment", "python", "fulfilment.py", uses=USES, **links, **convention)
            work(stage, spelling, url.format("intake:intake-secret"), convention)
            login(stage, spelling, url.format("intake:a-wrong-one"), convention)
            stage.stop(worker)
            stage.stop(stock)
    intake = stage.tools.wsgi(stage, "intake", "intake:app", uses=USES, BROKER=f"amqp://a:b@127.0.0.1:{closed_port()}/%2F")
    record(
        stage, "pika-broker-down", MARY.post(intake, "/orders", {"item": "desk"}), 500, outcome="error",
        span=At("intake", "POST /orders"), no_findings=["fail_closed"],
        why="Nobody listens where the broker should be: pika raises AMQPConnectionError, for which it has no span.",
    )  # fmt: skip


def work(stage: Stage, spelling: str, broker: str, convention: dict[str, Any]) -> None:
    intake = stage.tools.wsgi(stage, "intake", "intake:app", uses=USES, BROKER=broker, **convention)
    record(
        stage, f"pika-worked-off-{spelling}", MARY.post(intake, "/orders", {"item": "desk"}), 202, outcome="no_auth_evidence",
        layer=None, no_findings=["fail_open", "side_effect_before_denial"],
        why="The broker takes the message and stock holds the desk; no span speaks of a check.",
    )  # fmt: skip
    record(
        stage, f"pika-worker-refused-{spelling}", MARY.post(intake, "/orders", {"item": "safe"}), 202,
        outcome="partially_denied", layer="application", phase="authz", span=At("stock", "POST /holds"),
        no_findings=["fail_open", "masked_denial"],
        why="The order was accepted with 202; stock refuses the worker, because Mary may not have a safe.",
    )  # fmt: skip
    record(
        stage, f"pika-exchange-denied-{spelling}", MARY.post(intake, "/payouts", {}), 500, outcome="denied",
        layer="message_broker", phase="authz", service="intake", reason="ACCESS_REFUSED", findings=["status_rewritten"],
        confidence=["high"],
        why="The account intake may write to the default exchange only, not to payouts: the broker closes the channel.",
    )  # fmt: skip
    stage.stop(intake)


def login(stage: Stage, spelling: str, broker: str, convention: dict[str, Any]) -> None:
    intake = stage.tools.wsgi(stage, "intake", "intake:app", uses=USES, BROKER=broker, **convention)
    record(
        stage, f"pika-login-{spelling}", MARY.post(intake, "/orders", {"item": "desk"}), 500, outcome="denied",
        layer="message_broker", phase="authn", span=At("intake", "POST /orders"), absent=["a-wrong-one"],
        why="The broker knows the account intake by another password; pika has no span of a login, so Flask's says it.",
    )  # fmt: skip
    stage.stop(intake)


def record(stage: Stage, name: str, request: Any, status: int, **label: Any) -> None:
    stage.record(name, request, expect=status, entry_status=status, client_address=CLIENT, **label)
